//! What leaves the computer: messages for the dispatcher, members for the server.
//!
//! Which members belong to an order is decided when it is sent first, and stays: its photo, and
//! the companions that its rule names, that are there and that the consent covers. What stays
//! at home is written into the order's history.
//!
//! Only here ids become paths. Folders are named to a provider only in the signed manifest,
//! and only where the consent covers that.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};

use super::analyse::{Analysis, path_fact};
use super::books::LimitsInForce;
use super::dossier::Dossier;
use super::group::{Companion, Group, Lies, evidence_word};
use super::judge::before;
use super::lock;
use super::providers::{Providers, terms_of};
use super::way::{HubDesk, were_taken_back};
use crate::access::address_book::AddressBook;
use crate::access::grant::{Content, issue};
use crate::access::key::KeyError;
use crate::access::{Consent, Key, LinkKey, Manifest, PublicKey, Structure, member_for};
use crate::base::causes::one_line;
use crate::base::clock::{Moment, Timestamp};
use crate::base::config::{Icons, Owner};
use crate::base::file_state::FileState;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::base::ids::{ContentHash, derived};
use crate::base::member::Member;
use crate::collection::group::ALBUM_NAMES;
use crate::media::companion::album_title;
use crate::media::read::BYTES_MAX;
use crate::media::{DecodeSpec, Decoders, SharedBytes, read_shared};
use crate::orders::Terms;
use crate::orders::catalogue::Product;
use crate::orders::dispatch::{Hindrance, Outlet};
use crate::orders::failover::instead;
use crate::orders::parcel::{Line, Parcel, Sender};
use crate::orders::plan::Agreed;
use crate::orders::target::{Files, Target};
use crate::orders::webhook::{MEMBERS_MAX, MemberMessage};
use crate::preview::{Imprint, PreviewSpec, Renderer};
use crate::store::index::Index;
use crate::store::{GrantRow, Order, OrderState, State, StoreError, Way};
use crate::web::{CALLBACK, GRANT, NotThere, Served, Shelf, fee_entries};

/// Largest file that is looked at for the title of an album.
const ALBUM_BYTES_MAX: u64 = 64 * 1024;

/// Everything that leaving needs.
pub struct Counter {
    /// The home folder.
    pub home: Home,
    /// Whose photos these are.
    pub owner: Owner,
    /// The agent's key.
    pub key: Arc<Key>,
    /// Makes addresses that nobody can guess.
    pub links: LinkKey,
    /// Where providers reach us, without a slash at the end.
    pub public_url: String,
    /// Collections by name.
    pub roots: BTreeMap<String, PathBuf>,
    /// Orders and grants.
    pub state: Arc<State>,
    /// Where photos are.
    pub index: Arc<Mutex<Index>>,
    /// What was agreed, and the ways to providers.
    pub providers: Providers,
    /// What narrows orders.
    pub limits: LimitsInForce,
    /// Whether icons have to carry the owner's seal.
    pub icons: Icons,
    /// The hub that was joined, if one was.
    pub hub: Option<Arc<dyn HubDesk>>,
    /// Called for accesses by hand-over.
    pub tell: Box<dyn Fn(Served) + Send + Sync>,
}

impl Outlet for Counter {
    fn target(&self, provider: &str) -> Result<Box<dyn Target>, Hindrance> {
        self.providers.target(provider)
    }

    fn instead(
        &self,
        order: &Order,
        why: &str,
        now: Timestamp,
    ) -> Result<Option<Order>, StoreError> {
        // Whoever takes a grant back wants the photo to go nowhere.
        let is_revoked = |grant: &GrantRow| grant.revoked_at.is_some();
        if order.fallback.is_empty()
            || self.state.grants(Some(&order.order_key))?.iter().any(is_revoked)
        {
            return Ok(None);
        }
        let dossier = Dossier::of(&lock(&self.index), &order.photo, self.icons)?;
        let (Some(dossier), Ok(consent)) = (dossier, self.providers.current()) else {
            return Ok(None);
        };
        let limits = self.limits.get();
        let agreed = Agreed { consent: &consent.providers, limits: &limits };
        let before = before(&self.state, agreed, &order.photo, now)?;
        let photo = dossier.named(&order.photo, &[]);
        Ok(instead(order, why, &photo, agreed, &before, Moment::local(now)))
    }

    fn batches(&self, provider: &str) -> bool {
        let consent = self.providers.current();
        consent.is_ok_and(|consent| {
            let terms = consent.providers.get(provider);
            terms.is_some_and(|terms| terms.batch_minutes > 0 && terms.target.carries().batches)
        })
    }

    fn line(&self, order: &Order, now: Timestamp) -> Result<Line, Hindrance> {
        let later = |error: &dyn std::error::Error| Hindrance::Later(error.to_string());
        let consent = self.providers.current()?;
        let provider = &order.provider;
        let terms = terms_of(&consent, provider)?;
        if !terms.purposes.contains(&order.purpose)
            || terms.valid_until.is_some_and(|end| end <= now)
        {
            let why = format!("the consent for provider `{provider}` no longer covers it");
            return Err(Hindrance::Never(why));
        }
        let grants = self.grants(order, terms, &consent, now)?;
        let photo = grants.first().ok_or_else(|| Hindrance::Never("it has no members".into()))?;
        if photo.revoked_at.is_some() {
            return Err(Hindrance::Never("its grant was revoked".into()));
        }
        if photo.expires_at <= now {
            return Err(Hindrance::Never("its grant expired before it could be sent".into()));
        }
        for grant in &grants {
            let path = self.home.grants_dir().join(format!("{}.jws", grant.grant_id));
            if !path.exists() {
                write_atomic(&path, grant.token.as_bytes(), Readers::OwnerOnly)
                    .map_err(|error| later(&error))?;
            }
        }
        let address = self.address(order, &grants, now)?;
        let structure = terms.structure.then(|| self.structure(order)).transpose()?;
        let manifest =
            Manifest::of(&order.order_key, &grants, structure, &self.key.public()).sign(&self.key);
        let manifest = manifest.map_err(|error| later(&error))?;
        let manifest = self.state.put_manifest(&order.order_key, &manifest);
        let manifest = manifest.map_err(|error| later(&error))?;
        let product = order.product.as_ref().map(|name| {
            let offer = terms.products.get(name).cloned();
            (name.clone(), offer.unwrap_or_else(|| Product::priced(order.price_minor)))
        });
        let pixels = self.analysis(&order.photo).ok();
        Ok(Line {
            order_key: order.order_key.clone(),
            purpose: order.purpose,
            product,
            copies: order.copies,
            price_minor: order.price_minor,
            pixels: pixels.map(|analysis| (analysis.width_px, analysis.height_px)),
            batch: self.batch(order, terms),
            crop: order.crop,
            members: grants.iter().map(|grant| self.member(grant, terms, &address)).collect(),
            manifest,
            receipt_url: format!("{address}/v1/orders/{}/receipt", order.order_key),
            status_url: format!("{address}/v1/orders/{}/status", order.order_key),
        })
    }

    fn parcel(
        &self,
        parcel_key: &str,
        orders: &[Order],
        lines: Vec<Line>,
    ) -> Result<Parcel, Hindrance> {
        let order = orders.first().ok_or_else(|| Hindrance::Never("it is empty".into()))?;
        let consent = self.providers.current()?;
        let terms = terms_of(&consent, &order.provider)?;
        let (delivery, carries) = (&terms.delivery, terms.target.carries());
        // Only who ships goods is told where to; a book that cannot be opened is no reason to ship
        // to nowhere.
        let recipient = match carries.address && orders.iter().any(|one| one.product.is_some()) {
            true => AddressBook::open(&self.home)
                .map_err(|error| Hindrance::Later(one_line(&error)))?
                .recipient(order.addressee.as_deref(), &carries),
            false => None,
        };
        let faster = delivery.express.as_ref().filter(|_| order.express);
        let secret = self.links.secret(CALLBACK, parcel_key);
        // Hints come by the way by which the first of them is fetched.
        let receipt_url = lines.first().map_or("", |line| &line.receipt_url);
        let base = receipt_url.split("/v1/orders/").next().unwrap_or_default().to_owned();
        let created_at = orders.iter().map(|order| order.created_at).min();
        Ok(Parcel {
            parcel_key: parcel_key.to_owned(),
            provider: order.provider.clone(),
            sender: Sender {
                name: self.owner.name.clone(),
                address: self.owner.address.clone(),
                agent_id: self.key.public().thumbprint(),
                key: self.key.public().to_string(),
            },
            recipient,
            addressee: order.addressee.clone(),
            express: order.express,
            delivery: faster.or(delivery.standard.as_ref()).cloned(),
            lines,
            currency: order.currency.clone(),
            callback_url: format!("{base}/v1/callbacks/{parcel_key}/{secret}"),
            created_at: created_at.unwrap_or(order.created_at),
        })
    }

    fn delivered(&self, parcel: &Parcel, now: Timestamp) -> Result<(), StoreError> {
        let terms = self.terms(&parcel.provider);
        for line in &parcel.lines {
            for grant in self.state.grants(Some(&line.order_key))? {
                let is_carried = line.members.iter().any(|member| member.sha256 == grant.digest);
                if !is_carried || grant.revoked_at.is_some() {
                    continue;
                }
                // Handed over by ourselves: no hub has a part in it.
                let entries = fee_entries(&grant, terms.as_ref(), None);
                if self.state.post_access(&grant, &entries, &Way::Handover, now)? {
                    (self.tell)(Served::Accessed(Box::new(grant)));
                }
            }
        }
        Ok(())
    }
}

impl Files for Counter {
    fn open(&self, order_key: &str, member: &MemberMessage) -> io::Result<Box<dyn Read + Send>> {
        let grants = self.state.grants(Some(order_key)).map_err(io::Error::other)?;
        let grant = grants.into_iter().find(|grant| grant.digest == member.sha256);
        let grant = grant.ok_or_else(|| io::Error::other("the order has no such member"))?;
        let mut file = Shelf::open(self, &grant).map_err(io::Error::other)?;
        file.seek(SeekFrom::Start(grant.offset.unwrap_or(0)))?;
        Ok(Box::new(file.take(grant.bytes_count)))
    }
}

impl Counter {
    /// A member as a provider sees it. One without a key gets an address that works by itself.
    ///
    /// - `base`: where it fetches, no slash at the end
    fn member(&self, grant: &GrantRow, terms: &Terms, base: &str) -> MemberMessage {
        let id = &grant.grant_id;
        let (url, token) = match terms.key.is_empty() {
            true => (share_link(&self.links, base, grant), String::new()),
            false => (format!("{base}/v1/grants/{id}/content"), grant.token.clone()),
        };
        MemberMessage {
            role: grant.member,
            name: grant.name.clone(),
            media_type: grant.media_type.clone(),
            bytes_count: grant.bytes_count,
            sha256: grant.digest,
            url,
            grant: token,
        }
    }

    /// Names the orders that go with one, where a target sends each alone.
    fn batch(&self, order: &Order, terms: &Terms) -> Option<String> {
        let until = order.hold.filter(|_| terms.batch_minutes > 0)?.until;
        let addressee = order.addressee.as_deref().unwrap_or_default();
        Some(derived("batch", &[&order.provider, addressee, &until.0.to_string()]))
    }

    /// The grants of an order, the photo's first: those it has, or new ones.
    fn grants(
        &self,
        order: &Order,
        terms: &Terms,
        consent: &Consent,
        now: Timestamp,
    ) -> Result<Vec<GrantRow>, Hindrance> {
        let later = |error: &dyn std::error::Error| Hindrance::Later(error.to_string());
        let kept = self.state.grants(Some(&order.order_key)).map_err(|error| later(&error))?;
        let holder = match terms.key.as_str() {
            // Bound to nobody's key: of use only with the address that goes with it.
            "" => String::new(),
            key => {
                let key: PublicKey = key.parse().map_err(|error: KeyError| later(&error))?;
                key.thumbprint()
            }
        };
        let ran_out = |grant: &GrantRow| grant.expires_at <= now && grant.revoked_at.is_none();
        let taken_back = were_taken_back(&self.state, &kept).map_err(|error| later(&error))?;
        let mut grants = if kept.is_empty() {
            let (contents, notes) = self.contents(order, terms)?;
            let new = contents.iter().map(|content| {
                issue(order, content, terms, &holder, consent.number, &self.key, now)
            });
            let mut new = new.collect::<Result<Vec<_>, _>>().map_err(|error| later(&error))?;
            if let Some(hub) = &self.hub
                && let Some(quoted) = self.quoted(hub.as_ref(), order, terms, &contents)?
            {
                let base_url = hub.base_url();
                let offers = new.iter_mut().zip(&quoted);
                let offers: Vec<_> =
                    offers.map(|(grant, quoted)| quoted.offer(grant, &base_url)).collect();
                self.state.put_grant_offers(&offers).map_err(|error| later(&error))?;
            }
            let kept = self.state.put_grants(order, &new, &notes, now);
            // With grants it is under way: from here on no card that arrives late changes it.
            kept.map_err(|error| later(&error))?
                .ok_or_else(|| Hindrance::Later("it was just changed".into()))?
        } else if order.state != OrderState::Sent && (taken_back || kept.iter().any(ran_out)) {
            // The provider was away for so long; or the hub took them back, when another provider
            // had the order instead, and holds them withdrawn unless they are signed anew.
            let again = kept.iter().map(|grant| {
                issue(order, &Content::of(grant), terms, &holder, consent.number, &self.key, now)
            });
            let again = again.collect::<Result<Vec<_>, _>>().map_err(|error| later(&error))?;
            self.state.renew_grants(&again).map_err(|error| later(&error))?;
            for grant in &again {
                let path = self.home.grants_dir().join(format!("{}.jws", grant.grant_id));
                let _not_there = std::fs::remove_file(path);
                // The hub is told until when it holds now.
                let anew = self.state.offer_anew(&grant.grant_id);
                anew.map_err(|error| later(&error))?;
            }
            self.state.grants(Some(&order.order_key)).map_err(|error| later(&error))?
        } else {
            kept
        };
        for grant in grants.iter_mut().filter(|grant| grant.name.is_empty()) {
            grant.name = photo_name(order, grant.member);
        }
        Ok(grants)
    }

    /// What exactly the order's grants are about, the photo first, and what stays at home.
    fn contents(
        &self,
        order: &Order,
        terms: &Terms,
    ) -> Result<(Vec<Content>, Vec<String>), Hindrance> {
        let later = |error: &dyn std::error::Error| Hindrance::Later(error.to_string());
        let analysis = self.analysis(&order.photo)?;
        let mut contents = vec![self.photo(order, &analysis)?];
        let mut notes = Vec::new();
        if order.companions.is_empty() {
            return Ok((contents, notes));
        }
        let group = Group::of(&lock(&self.index), &order.photo, &analysis);
        let group = group.map_err(|error| later(&error))?;
        for companion in &group.companions {
            if !order.companions.contains(&companion.member) {
                continue;
            }
            let Companion { member, name, .. } = companion;
            let without = |why: &str| format!("without its {member} `{name}`: {why}");
            if !terms.companions.contains(member) {
                let provider = &order.provider;
                notes.push(without(&format!(
                    "the consent for provider `{provider}` does not cover it"
                )));
                continue;
            }
            match self.companion(order, companion) {
                Ok(content) if contents.iter().any(|known| known.digest == content.digest) => {}
                Ok(_) if contents.len() == MEMBERS_MAX => {
                    notes.push(without(&format!("an order has at most {MEMBERS_MAX} members")));
                }
                Ok(content) => contents.push(content),
                Err(NotThere::Offline) => {
                    return Err(Hindrance::Later(NotThere::Offline.to_string()));
                }
                Err(NotThere::Gone) => notes.push(without("it was changed or removed")),
            }
        }
        Ok((contents, notes))
    }

    pub(super) fn analysis(&self, photo: &ContentHash) -> Result<Analysis, Hindrance> {
        let photo = lock(&self.index).photo(photo);
        let photo = photo.map_err(|error| Hindrance::Later(error.to_string()))?;
        let photo = photo.ok_or_else(|| {
            Hindrance::Later("the photo is being looked at again, its index was lost".into())
        })?;
        serde_json::from_str(&photo.analysis_json)
            .map_err(|error| Hindrance::Later(error.to_string()))
    }

    /// The original or the preview, as the order's purpose has it.
    fn photo(&self, order: &Order, analysis: &Analysis) -> Result<Content, Hindrance> {
        let member = member_for(order.purpose);
        let (digest, bytes_count, media_type) = match member {
            Member::Preview => {
                let spec = spec_of(order);
                let path = preview_path(&self.home, &order.photo, spec);
                let bytes = match std::fs::read(&path) {
                    Ok(bytes) if !bytes.is_empty() => bytes,
                    _ => self.render_again(order, spec, &path)?,
                };
                (ContentHash::of(&bytes), bytes.len() as u64, spec.format.media_type())
            }
            _ => (order.photo, analysis.bytes_count, analysis.media_type.as_str()),
        };
        Ok(Content {
            member,
            digest,
            bytes_count,
            media_type: media_type.to_owned(),
            name: photo_name(order, member),
            offset: None,
            evidence: None,
        })
    }

    /// A companion as it is now; of one inside the photo's file the digest is worked out here.
    fn companion(&self, order: &Order, companion: &Companion) -> Result<Content, NotThere> {
        let (digest, offset) = match companion.lies {
            Lies::Beside(digest) => {
                self.find_beside(&order.photo, &digest)?;
                (digest, None)
            }
            Lies::Inside(offset) => {
                let (mut file, _path) = self.find(&order.photo)?;
                file.seek(SeekFrom::Start(offset)).map_err(|_error| NotThere::Gone)?;
                let digest = ContentHash::of_reader(file.take(companion.bytes_count));
                (digest.map_err(|_error| NotThere::Gone)?, Some(offset))
            }
        };
        Ok(Content {
            member: companion.member,
            digest,
            bytes_count: companion.bytes_count,
            media_type: companion.media_type.clone(),
            name: plain_name(&companion.name),
            offset,
            evidence: evidence_word(companion.evidence),
        })
    }

    /// Where the photo of an order lies.
    fn structure(&self, order: &Order) -> Result<Structure, Hindrance> {
        let place = path_fact(&order.collection, Path::new(&order.relative));
        let sequence = lock(&self.index).sequence(&order.photo);
        Ok(Structure {
            album: self.album(order),
            collection: place.collection,
            folder: place.folder,
            name: place.name,
            sequence: sequence.map_err(|error| Hindrance::Later(error.to_string()))?,
        })
    }

    /// What Google Takeout calls the folder of an order's photo.
    fn album(&self, order: &Order) -> Option<String> {
        let root = self.roots.get(&order.collection)?;
        ALBUM_NAMES.iter().find_map(|name| {
            let file = open_below(root, &Path::new(&order.relative).with_file_name(name))?;
            let mut bytes = Vec::new();
            file.take(ALBUM_BYTES_MAX).read_to_end(&mut bytes).ok()?;
            album_title(&bytes)
        })
    }

    /// Makes a preview that is of another size than is made at once, or was lost.
    fn render_again(
        &self,
        order: &Order,
        spec: PreviewSpec,
        path: &Path,
    ) -> Result<Vec<u8>, Hindrance> {
        let later = |error: &dyn std::error::Error| Hindrance::Later(error.to_string());
        let (_file, path_of_original) = self.find(&order.photo).map_err(|error| later(&error))?;
        let mut original = SharedBytes::default();
        read_shared(&path_of_original, BYTES_MAX, &mut original).map_err(|error| later(&error))?;
        if ContentHash::of(original.as_slice()) != order.photo {
            return Err(Hindrance::Later("the photo is being changed".into()));
        }
        // Rarely needed, so there is no worker that waits for it.
        let photo = Decoders::sandboxed()
            .decoder()
            .decode(&original, DecodeSpec::exactly(spec.long_side_px));
        let photo = photo.map_err(|error| later(&error))?;
        let imprint = imprint(&self.owner, &order.photo);
        let preview =
            Renderer::default().render(&photo, spec, &imprint).map_err(|error| later(&error))?;
        write_preview(path, &preview.file).map_err(|error| later(&error))?;
        Ok(preview.file)
    }

    /// Opens a companion of a photo. One that nobody knows any more while its photo is known
    /// was changed or removed.
    fn find_beside(&self, photo: &ContentHash, digest: &ContentHash) -> Result<File, NotThere> {
        let is_known = |hash| lock(&self.index).locations(hash).is_ok_and(|all| !all.is_empty());
        if !is_known(digest) && is_known(photo) {
            return Err(NotThere::Gone);
        }
        self.find(digest).map(|(file, _path)| file)
    }

    /// Opens a photo version or a companion where it lies now: unchanged since it was hashed, or hashed anew.
    fn find(&self, photo: &ContentHash) -> Result<(File, PathBuf), NotThere> {
        let places = {
            let index = lock(&self.index);
            index.locations(photo).map_err(|error| {
                tracing::error!(%error, "the index cannot be read");
                NotThere::Offline
            })?
        };
        let mut offline = places.is_empty();
        for place in places {
            let Some(root) = self.roots.get(&place.collection) else { continue };
            if !root.is_dir() {
                offline = true;
                continue;
            }
            let Some(mut file) = open_below(root, &place.path) else { continue };
            let same = file.metadata().is_ok_and(|now| FileState::of(&now) == place.state);
            if same || hash_of(&mut file) == Some(*photo) {
                return Ok((file, root.join(&place.path)));
            }
        }
        Err(if offline { NotThere::Offline } else { NotThere::Gone })
    }
}

impl Shelf for Counter {
    fn open(&self, grant: &GrantRow) -> Result<File, NotThere> {
        match grant.member {
            Member::Original => self.find(&grant.photo).map(|(file, _path)| file),
            Member::Preview => {
                let order = self.state.order(&grant.order_key).ok().flatten();
                let spec = order.as_ref().map(spec_of).ok_or(NotThere::Gone)?;
                let path = preview_path(&self.home, &grant.photo, spec);
                let mut file = open_plain(&path).ok_or(NotThere::Gone)?;
                // One that was made anew, by a newer version say, is another file.
                let same = hash_of(&mut file) == Some(grant.digest);
                same.then_some(file).ok_or(NotThere::Gone)
            }
            // A part of a photo version is what it was as long as that version is.
            _ if grant.offset.is_some() => self.find(&grant.photo).map(|(file, _path)| file),
            _ => self.find_beside(&grant.photo, &grant.digest),
        }
    }

    fn terms(&self, provider: &str) -> Option<Terms> {
        self.providers.consent.providers().remove(provider)
    }
}

/// Opens a file without following a link at its end.
fn open_plain(path: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file: OwnedFd = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    Some(File::from(file)).filter(|file| file.metadata().is_ok_and(|data| data.is_file()))
}

/// Opens a file below a folder; nothing, links included, leads out of it.
fn open_below(root: &Path, relative: &Path) -> Option<File> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let folder = File::open(root).ok()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
        let opened = rustix::fs::openat2(&folder, relative, flags, Mode::empty(), resolve);
        match opened {
            Ok(file) => {
                let file = File::from(file);
                return file.metadata().is_ok_and(|data| data.is_file()).then_some(file);
            }
            // Kernels before 5.6 and some sandboxes have no openat2.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {}
            Err(_) => return None,
        }
    }
    let plain = |part| matches!(part, std::path::Component::Normal(_));
    relative.components().all(plain).then(|| open_plain(&root.join(relative)))?
}

/// Hashes an open file and goes back to its beginning.
fn hash_of(file: &mut File) -> Option<ContentHash> {
    let hash = ContentHash::of_reader(&*file).ok()?;
    file.rewind().ok()?;
    Some(hash)
}

/// Name under which the photo of an order is to be filed.
fn photo_name(order: &Order, member: Member) -> String {
    let name = Path::new(&order.relative).file_name().unwrap_or_default().to_string_lossy();
    plain_name(&match member {
        Member::Preview => {
            let stem = name.rsplit_once('.').map_or(&*name, |n| n.0);
            format!("{stem}-preview.{}", spec_of(order).format.extension())
        }
        _ => name.into_owned(),
    })
}

/// A file name as the last part of an address: letters that need no escape.
fn url_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}

/// The address under which somebody without a key fetches what a grant is about.
///
/// - `public_url`: where this computer is reached, without a slash at the end
pub fn share_link(links: &LinkKey, public_url: &str, grant: &GrantRow) -> String {
    let id = &grant.grant_id;
    format!("{public_url}/v1/links/{id}/{}/{}", links.secret(GRANT, id), url_name(&grant.name))
}

/// A file name without what no name on paper has.
fn plain_name(name: &str) -> String {
    name.replace(char::is_control, "_")
}

/// How the preview of an order is to be.
fn spec_of(order: &Order) -> PreviewSpec {
    order.preview.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Where the preview of a photo version is kept: 256 folders, so that none grows too large.
/// What is made for every photo has the plain name; others say their long side.
pub(crate) fn preview_path(home: &Home, photo: &ContentHash, spec: PreviewSpec) -> PathBuf {
    let name = photo.to_string();
    let folder: String = name.chars().take(2).collect();
    let side = match spec.long_side_px {
        side if side == PreviewSpec::default().long_side_px => String::new(),
        side => format!("-{side}"),
    };
    let file = format!("{name}{side}.{}", spec.format.extension());
    home.previews_dir().join(folder).join(file)
}

/// Puts a preview in its place whole. Not synced: it can be made again.
pub(super) fn write_preview(path: &Path, jpeg: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        crate::base::home::make_private_dir(folder)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".part");
    std::fs::write(&temporary, jpeg)?;
    std::fs::rename(&temporary, path)
}

/// What previews of a photo version say about themselves.
pub(super) fn imprint(owner: &Owner, photo: &ContentHash) -> Imprint {
    Imprint {
        owner_address: owner.address.clone(),
        owner_name: owner.name.clone(),
        photo_id: photo.to_string(),
    }
}
