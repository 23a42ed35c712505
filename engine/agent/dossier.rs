//! All that is known of one photo when rules are asked about it.
//!
//! In:  the index; then what was ordered before. Out: a [`Dossier`]: where the photo lies, the
//! inputs of a decision, what belongs to it. Put together anew each time, and in this one place:
//! the agent, `rules explain` and `rules backtest` ask about the same facts.
//!
//! Knows no rules' contents, no clock and no pixels.

use std::path::{Path, PathBuf};

use super::analyse::{Analysis, path_fact};
use super::group::Group;
use crate::base::config::Icons;
use crate::base::ids::ContentHash;
use crate::collection::group::{Kind, kind_of};
use crate::detection::detector::FORBIDDING;
use crate::detection::faces::FaceSighting;
use crate::detection::{IconSighting, Tier};
use crate::orders::crop::{Crop, card_around};
use crate::orders::plan::{Mark, Missing, Photo};
use crate::rules::facts::{OrderedFact, PersonFact};
use crate::rules::{CardFact, Facts, IconFact, Inputs, Role, Standing};
use crate::store::index::{Index, Shot};
use crate::store::{Order, State, StoreError};

/// What was ordered before: kept, or worked out by a backtest.
pub(super) trait Past {
    /// What providers were told to make of a photo.
    fn told(&self, photo: &ContentHash) -> Result<Vec<OrderedFact>, StoreError>;

    /// Whether a photo has orders that wait, go or went.
    fn is_wanted(&self, photo: &ContentHash) -> Result<bool, StoreError>;
}

impl Past for State {
    fn told(&self, photo: &ContentHash) -> Result<Vec<OrderedFact>, StoreError> {
        Ok(self.told_orders(photo)?.iter().map(ordered_fact).collect())
    }

    fn is_wanted(&self, photo: &ContentHash) -> Result<bool, StoreError> {
        self.has_live_orders(photo)
    }
}

/// An order that its provider was told of, as rules see it.
pub(super) fn ordered_fact(order: &Order) -> OrderedFact {
    OrderedFact {
        rule: order.rule.clone(),
        provider: order.provider.clone(),
        product: order.product.clone().unwrap_or_default(),
        copies: order.copies,
    }
}

/// One photo with everything that matters to a decision about it.
#[derive(Debug)]
pub(super) struct Dossier {
    /// Where it was found first: name of the collection …
    pub(super) collection: String,
    /// … and path inside it.
    pub(super) relative: PathBuf,
    /// What rules are asked about.
    pub(super) inputs: Inputs,
    /// What belongs to it.
    pub(super) group: Group,
    /// Other versions of it: what lay there before its file was edited, or after.
    versions: Vec<ContentHash>,
    /// Whether it is in a roll.
    pub(super) is_in_roll: bool,
    /// `false` for a photo that was there before the first start: it orders nothing.
    pub(super) may_order: bool,
    /// The networks that looked.
    pub(super) seen_by: String,
    /// Icons on it; corners in pixels of the upright original.
    icons: Vec<IconSighting>,
    /// Portraits on it, in the same pixels.
    portraits: Vec<FaceSighting>,
}

impl Dossier {
    /// Puts it together from what was seen; nothing for a photo that nobody has looked at.
    ///
    /// What was ordered before is missing, see [`Self::with_past`].
    pub(super) fn of(
        index: &Index,
        photo: &ContentHash,
        icons: Icons,
    ) -> Result<Option<Self>, StoreError> {
        Self::naming(index, photo, icons, |_| true)
    }

    /// The same, in which whoever is not enrolled any more is unknown.
    pub(super) fn naming(
        index: &Index,
        photo: &ContentHash,
        icons: Icons,
        is_enrolled: impl Fn(&str) -> bool,
    ) -> Result<Option<Self>, StoreError> {
        let Some(row) = index.photo(photo)? else { return Ok(None) };
        let mut analysis = serde_json::from_str::<Analysis>(&row.analysis_json).ok();
        if let Some(analysis) = &mut analysis {
            analysis.forget_others(is_enrolled);
        }
        let (Some(analysis), Some((collection, relative))) = (analysis, index.first_place(photo)?)
        else {
            // Kept by another version of Signet: the next scan looks at it again.
            return Ok(None);
        };
        let shot = index.shot(photo)?;
        let versions = match &shot {
            Some(shot) => index.other_versions(shot)?,
            None => Vec::new(),
        };
        let group = Group::of(index, photo, &analysis)?;
        let mut facts = analysis.facts(path_fact(&collection, &relative), icons);
        group.add_to(&mut facts);
        find_alone(index, &mut facts, analysis.taken_ms())?;
        facts.album = name_of(relative.parent());
        let card = shot.as_ref().map(|shot| card_of(index, shot, icons)).transpose()?.flatten();
        let standing = match Role::of(&facts.icons, analysis.card) {
            _ if group.is_part => Standing::Part,
            Role::Card if shot.is_none() => Standing::CardWithoutTime,
            Role::Card => Standing::Card,
            _ => Standing::Photo,
        };
        Ok(Some(Self {
            collection,
            relative,
            inputs: Inputs { facts, card, standing, doubts: Vec::new() },
            group,
            versions,
            is_in_roll: shot.is_some(),
            may_order: row.may_order,
            seen_by: analysis.seen_by,
            icons: analysis.icons,
            portraits: analysis.faces.into_iter().filter(FaceSighting::is_portrait).collect(),
        }))
    }

    /// Adds what was ordered before.
    pub(super) fn with_past(
        mut self,
        photo: &ContentHash,
        past: &dyn Past,
    ) -> Result<Self, StoreError> {
        for version in std::iter::once(photo).chain(&self.versions) {
            self.inputs.facts.ordered.extend(past.told(version)?);
        }
        let doubts = &mut self.inputs.doubts;
        // A file that was edited where it lies is another version of a photo that the card
        // was for already: that may be one wish.
        if self.inputs.card.is_some() && any_wanted(past, &self.versions)? {
            doubts.push("an earlier version of it was ordered".to_owned());
        }
        // A picture whose raw data was ordered before it came may be one wish too.
        for (name, raw) in self.group.raws() {
            if past.is_wanted(&raw)? {
                doubts.push(format!("its raw file `{name}` was ordered"));
            }
        }
        Ok(self)
    }

    /// Whether somebody is named.
    pub(super) fn names_people(&self) -> bool {
        !self.inputs.facts.people.is_empty()
    }

    /// The photo as the planner wants it.
    ///
    /// - `unread`: files that lay beside it and were not read in time
    pub(super) fn named(&self, photo: &ContentHash, unread: &[PathBuf]) -> Photo {
        let unread = unread.iter().filter_map(|path| late(path));
        Photo {
            hash: *photo,
            collection: self.collection.clone(),
            relative: self.relative.to_string_lossy().into_owned(),
            companions: self.group.members(),
            missing: self.group.missing.iter().cloned().chain(unread).collect(),
            people: self.inputs.facts.sure_people(),
            pixels: Some(self.pixels()),
            marks: self.marks(),
        }
    }

    fn pixels(&self) -> (u32, u32) {
        (self.inputs.facts.width_px, self.inputs.facts.height_px)
    }

    /// Where faces and icons are on it.
    fn marks(&self) -> Vec<Mark> {
        let pixels = self.pixels();
        let icons = self.icons.iter().filter_map(|icon| {
            let part = Crop::around(&icon.corners, pixels)?;
            let card = Crop::around(&card_around(icon.corners), pixels).unwrap_or(part);
            let (name, is_sure) = (icon.name.clone(), icon.tier == Tier::Order);
            Some(Mark::Icon { name, is_sure, part, card })
        });
        // A portrait is an icon: it may be cropped away, a face may not.
        let portraits = self.portraits.iter().filter_map(|portrait| {
            let part = Crop::around(portrait.frame.as_ref()?, pixels)?;
            let is_sure = portrait.tier? == Tier::Order;
            // Marks are named in reasons of orders: nobody is.
            Some(Mark::Icon { name: "portrait".to_owned(), is_sure, part, card: part })
        });
        let faces = self.inputs.facts.present().filter_map(|person| {
            Some(Mark::Face { part: Crop::around(&face_corners(person, pixels), pixels)? })
        });
        faces.chain(icons).chain(portraits).collect()
    }
}

/// Finds out for whom nothing speaks but a face: no icon on the photo, and no other photo of the
/// same hour.
fn find_alone(index: &Index, facts: &mut Facts, taken_ms: Option<i64>) -> Result<(), StoreError> {
    let is_icon = |icon: &IconFact| icon.tier == Tier::Order && icon.name != FORBIDDING;
    // A portrait in the frame of an icon is one.
    let is_portrait = |portrait: &PersonFact| portrait.tier == Tier::Order && !portrait.alone;
    if facts.icons.iter().any(is_icon) || facts.portraits().any(is_portrait) {
        return Ok(());
    }
    for person in facts.people.iter_mut().filter(|person| !person.portrait) {
        let is_seen_about = match taken_ms {
            Some(taken_ms) => index.is_seen_about(&person.name, taken_ms)?,
            None => false,
        };
        person.alone = !is_seen_about;
    }
    Ok(())
}

/// Two opposite corners of a face.
fn face_corners(person: &PersonFact, (width, height): (u32, u32)) -> [[f32; 2]; 2] {
    let (width, height) = (f64::from(width), f64::from(height));
    let half = person.size * width.max(height) / 2.0;
    #[expect(clippy::cast_possible_truncation, reason = "a pixel more or less does not matter")]
    let corner = |sign: f64| {
        [(person.x * width + sign * half) as f32, (person.y * height + sign * half) as f32]
    };
    [corner(-1.0), corner(1.0)]
}

/// A companion that lies beside a photo and was not read in time.
fn late(path: &Path) -> Option<Missing> {
    let name = path.file_name()?;
    match kind_of(name) {
        Kind::Companion(member) => {
            Some(Missing { member, name: Some(name.to_string_lossy().into_owned()) })
        }
        _ => None,
    }
}

fn any_wanted(past: &dyn Past, photos: &[ContentHash]) -> Result<bool, StoreError> {
    for photo in photos {
        if past.is_wanted(photo)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn name_of(folder: Option<&Path>) -> String {
    let name = folder.and_then(Path::file_name);
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The card that applies to a shot, as rules see it.
fn card_of(index: &Index, shot: &Shot, icons: Icons) -> Result<Option<CardFact>, StoreError> {
    let Some(card) = shot.card else { return Ok(None) };
    let (row, place) = (index.photo(&card)?, index.first_place(&card)?);
    let analysis = row.and_then(|row| serde_json::from_str::<Analysis>(&row.analysis_json).ok());
    let Some(analysis) = analysis else { return Ok(None) };
    let (collection, relative) = place.unwrap_or_default();
    let Facts { icons, taken, .. } = analysis.facts(path_fact(&collection, &relative), icons);
    let photographed = taken.map(|taken| taken.text).unwrap_or_default();
    // `2026-07-01T10:02:00`: the hour and the minute are enough to find it.
    let photographed = photographed.get(11..16).unwrap_or_default().to_owned();
    let card = CardFact { icons, photographed };
    Ok(Some(if shot.is_doubtful { card.doubtful() } else { card }))
}
