//! What leaves the computer: messages for the dispatcher, members for the server.
//!
//! Only here ids become paths.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};

use super::analyse::Analysis;
use super::books::ConsentBook;
use crate::access::grant::{Content, issue};
use crate::access::{Key, PublicKey, member_for};
use crate::base::clock::Timestamp;
use crate::base::config::Owner;
use crate::base::file_state::FileState;
use crate::base::files::{Readers, write_atomic};
use crate::base::home::Home;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::media::read::BYTES_MAX;
use crate::media::{DecodeSpec, Decoders, SharedBytes, read_shared};
use crate::orders::Terms;
use crate::orders::dispatch::{Hindrance, Outgoing, Outlet};
use crate::orders::webhook::{MemberMessage, OrderMessage, event, sign};
use crate::preview::{Imprint, PreviewSpec, Renderer};
use crate::store::index::Index;
use crate::store::{GrantRow, Order, State};
use crate::web::{NotThere, Shelf};

/// Everything that leaving needs.
pub struct Counter {
    /// The home folder.
    pub home: Home,
    /// Whose photos these are.
    pub owner: Owner,
    /// The agent's key.
    pub key: Key,
    /// Where providers reach us, without a slash at the end.
    pub public_url: String,
    /// Collections by name.
    pub roots: BTreeMap<String, PathBuf>,
    /// Orders and grants.
    pub state: Arc<State>,
    /// Where photos are.
    pub index: Arc<Mutex<Index>>,
    /// What was agreed.
    pub consent: Arc<ConsentBook>,
}

impl Outlet for Counter {
    fn prepare(&self, order: &Order, now: Timestamp) -> Result<Outgoing, Hindrance> {
        let later = |error: &dyn std::error::Error| Hindrance::Later(error.to_string());
        let consent = self.consent.current().map_err(|error| later(&error))?;
        let provider = &order.provider;
        let terms = consent.providers.get(provider).ok_or_else(|| {
            Hindrance::Never(format!("there is no consent for provider `{provider}` any more"))
        })?;
        if !terms.purposes.contains(&order.purpose)
            || terms.valid_until.is_some_and(|end| end <= now)
        {
            let why = format!("the consent for provider `{provider}` no longer covers it");
            return Err(Hindrance::Never(why));
        }
        let holder: PublicKey =
            terms.key.parse().map_err(|error: crate::access::key::KeyError| later(&error))?;
        let content = self.content(order)?;
        let grant =
            issue(order, &content, terms, &holder.thumbprint(), consent.number, &self.key, now)
                .map_err(|error| later(&error))?;
        let grant = self.state.put_grant(order, &grant).map_err(|error| later(&error))?;
        // With a grant it is under way: from here on no card that arrives late changes it.
        let grant = grant.ok_or_else(|| Hindrance::Later("it was just changed".into()))?;
        if grant.revoked_at.is_some() {
            return Err(Hindrance::Never("its grant was revoked".into()));
        }
        if grant.expires_at <= now {
            return Err(Hindrance::Never("its grant expired before it could be sent".into()));
        }
        let path = self.home.grants_dir().join(format!("{}.jws", grant.grant_id));
        if !path.exists() {
            write_atomic(&path, grant.token.as_bytes(), Readers::OwnerOnly)
                .map_err(|error| later(&error))?;
        }
        let secret = self.home.secret_path(provider);
        let secret = std::fs::read_to_string(&secret).map_err(|_error| {
            Hindrance::Later(format!(
                "the secret of provider `{provider}` is missing: `signet consent allow` its card"
            ))
        })?;
        let message = self.message(order, &grant);
        let event = event(message, &self.key.public().thumbprint(), order.created_at);
        let message = sign(&event, secret.trim(), now).map_err(|error| later(&error))?;
        Ok(Outgoing { url: terms.orders_url.clone(), message })
    }
}

impl Counter {
    fn message(&self, order: &Order, grant: &GrantRow) -> OrderMessage {
        let base = &self.public_url;
        let name = Path::new(&order.relative).file_name().unwrap_or_default().to_string_lossy();
        let name = match grant.member.as_str() {
            "preview" => {
                let stem = name.rsplit_once('.').map_or(&*name, |n| n.0);
                format!("{stem}-preview.{}", spec_of(order).format.extension())
            }
            _ => name.into_owned(),
        };
        OrderMessage {
            order_key: order.order_key.clone(),
            owner: self.owner.name.clone(),
            owner_key: self.key.public().to_string(),
            purpose: order.purpose,
            product: order.product.clone(),
            copies: order.copies,
            addressee: order.addressee.clone(),
            express: order.express,
            price_minor: order.price_minor,
            currency: order.currency.clone(),
            members: vec![MemberMessage {
                role: grant.member.clone(),
                name,
                media_type: grant.media_type.clone(),
                bytes_count: grant.bytes_count,
                sha256: grant.digest,
                url: format!("{base}/v1/grants/{}/content", grant.grant_id),
                grant: grant.token.clone(),
            }],
            receipt_url: format!("{base}/v1/orders/{}/receipt", order.order_key),
        }
    }

    /// What exactly the order's grant is about.
    fn content(&self, order: &Order) -> Result<Content, Hindrance> {
        let member = member_for(order.purpose);
        let analysis: Analysis = {
            let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
            let photo = index.photo(&order.photo);
            let photo = photo.map_err(|error| Hindrance::Later(error.to_string()))?;
            let photo = photo.ok_or_else(|| {
                Hindrance::Later("the photo is being looked at again, its index was lost".into())
            })?;
            serde_json::from_str(&photo.analysis_json)
                .map_err(|error| Hindrance::Later(error.to_string()))?
        };
        match member {
            Member::Preview => {
                let spec = spec_of(order);
                let path = preview_path(&self.home, &order.photo, spec);
                let bytes = match std::fs::read(&path) {
                    Ok(bytes) if !bytes.is_empty() => bytes,
                    _ => self.render_again(order, spec, &path)?,
                };
                Ok(Content {
                    member,
                    digest: ContentHash::of(&bytes),
                    bytes_count: bytes.len() as u64,
                    media_type: spec.format.media_type().into(),
                })
            }
            _ => Ok(Content {
                member,
                digest: order.photo,
                bytes_count: analysis.bytes_count,
                media_type: analysis.media_type,
            }),
        }
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
        let cover = DecodeSpec { cover_px: spec.long_side_px, ..DecodeSpec::default() };
        // Rarely needed, so there is no worker that waits for it.
        let photo = Decoders::sandboxed().decoder().decode(&original, cover);
        let photo = photo.map_err(|error| later(&error))?;
        let imprint = imprint(&self.owner, &order.photo);
        let preview =
            Renderer::default().render(&photo, spec, &imprint).map_err(|error| later(&error))?;
        write_preview(path, &preview.file).map_err(|error| later(&error))?;
        Ok(preview.file)
    }

    /// Opens a photo version where it lies now: unchanged since it was hashed, or hashed anew.
    fn find(&self, photo: &ContentHash) -> Result<(File, PathBuf), NotThere> {
        let places = {
            let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
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
        match grant.member.parse() {
            Ok(Member::Original) => self.find(&grant.photo).map(|(file, _path)| file),
            Ok(Member::Preview) => {
                let order = self.state.order(&grant.order_key).ok().flatten();
                let spec = order.as_ref().map(spec_of).ok_or(NotThere::Gone)?;
                let path = preview_path(&self.home, &grant.photo, spec);
                let mut file = open_plain(&path).ok_or(NotThere::Gone)?;
                // One that was made anew, by a newer version say, is another file.
                let same = hash_of(&mut file) == Some(grant.digest);
                same.then_some(file).ok_or(NotThere::Gone)
            }
            _ => Err(NotThere::Gone),
        }
    }

    fn terms(&self, provider: &str) -> Option<Terms> {
        self.consent.providers().remove(provider)
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
    let mut bytes = Vec::new();
    (&*file).take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    file.rewind().ok()?;
    Some(ContentHash::of(&bytes))
}

/// How the preview of an order is to be.
fn spec_of(order: &Order) -> PreviewSpec {
    order.preview.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Where the preview of a photo version is kept: 256 folders, so that none grows too large.
/// What is made for every photo has the plain name; others say their long side.
pub(super) fn preview_path(home: &Home, photo: &ContentHash, spec: PreviewSpec) -> PathBuf {
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
