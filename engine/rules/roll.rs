//! Cards: which of them applies to which photo of a roll, and what it adds to one.
//!
//! A *roll* is the photos of one camera in one collection, in the order in which they were
//! taken. A *card photo* shows a card and little else (`detection/card` decides); its icons
//! apply to the photos behind it until another card photo, a photo with the icon `end`, or
//! a pause. It is not ordered itself.
//!
//! In:  the photo before, what applied to it, the time in between; the icons of both.
//! Out: what applies now; the icons that rules get to see.
//!
//! What applies to a photo depends on the one before it alone, and on nothing else: so a
//! photo that arrives late changes what follows it up to the first that stays as it was.
//!
//! Knows no clock, no database and no pixels.

use serde::{Deserialize, Serialize};

use super::facts::IconFact;
use crate::base::ids::ContentHash;
use crate::detection::Tier;

/// The icon that ends what a card began.
pub const END: &str = "end";

/// What a photo means for those behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Nothing: what applied to it goes on.
    Photo,
    /// It is a card photo: its icons apply to those behind it.
    Card,
    /// It shows the icon `end`: no card applies from here on.
    End,
    /// It may show the icon `end`: what applied goes on, but has to be confirmed.
    PerhapsEnd,
}

impl Role {
    /// Of a photo with these icons.
    ///
    /// - `is_card`: whether it shows a card and little else
    ///
    /// A card with `end` alone ends; with `end` beside others it begins anew with those. A
    /// card needs an icon that is sure.
    pub fn of(icons: &[IconFact], is_card: bool) -> Self {
        let sure = |icon: &&IconFact| icon.tier == Tier::Order;
        if is_card && icons.iter().filter(sure).any(|icon| icon.name != END) {
            return Self::Card;
        }
        let mut ends = icons.iter().filter(|icon| icon.name == END);
        if ends.clone().any(|icon| icon.tier == Tier::Order) {
            Self::End
        } else if ends.next().is_some() {
            Self::PerhapsEnd
        } else {
            Self::Photo
        }
    }

    /// The word used in databases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Card => "card",
            Self::End => "end",
            Self::PerhapsEnd => "perhaps-end",
        }
    }

    /// Reads the word; anything else is a plain photo.
    pub fn parse(text: &str) -> Self {
        match text {
            "card" => Self::Card,
            "end" => Self::End,
            "perhaps-end" => Self::PerhapsEnd,
            _ => Self::Photo,
        }
    }
}

/// Milliseconds since 1970 on the camera's own clock.
///
/// - `text`: `2026-07-01T10:00:00`; `millis` behind it, 0 to 999
pub fn clock_ms(text: &str, millis: u16) -> Option<i64> {
    let moment: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond() + i64::from(millis))
}

/// The card that applies to a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InForce {
    /// The card photo.
    pub card: ContentHash,
    /// Whether it may have been ended since: what follows from it has to be confirmed.
    pub is_doubtful: bool,
}

/// One photo of a roll, as far as those behind it are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The photo.
    pub photo: ContentHash,
    /// By its camera's clock, milliseconds.
    pub taken_ms: i64,
    /// What it means for those behind it.
    pub role: Role,
    /// What applies to it itself; nothing to a card photo or one with `end`.
    pub in_force: Option<InForce>,
}

/// What applies to a photo that was taken right behind another.
///
/// - `taken_ms`, `role`: of the photo in question
/// - `pause_ms`: a longer time in between ends a card
pub fn in_force(
    before: Option<&Step>,
    taken_ms: i64,
    role: Role,
    pause_ms: i64,
) -> Option<InForce> {
    if matches!(role, Role::Card | Role::End) {
        return None;
    }
    let before = before.filter(|before| taken_ms.saturating_sub(before.taken_ms) <= pause_ms)?;
    let handed_on = match before.role {
        Role::Card => Some(InForce { card: before.photo, is_doubtful: false }),
        Role::End => None,
        Role::Photo | Role::PerhapsEnd => before.in_force,
    };
    let is_doubtful = role == Role::PerhapsEnd;
    handed_on.map(|given| InForce { is_doubtful: given.is_doubtful || is_doubtful, ..given })
}

/// A card as rules see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CardFact {
    /// Its icons.
    pub icons: Vec<IconFact>,
    /// When it was photographed, in words, such as `10:02`; empty where that is no matter.
    pub photographed: String,
}

impl CardFact {
    /// The same card after something that may have been `end`: nothing of it is sure.
    #[must_use]
    pub fn doubtful(mut self) -> Self {
        for icon in &mut self.icons {
            icon.tier = Tier::Ask;
        }
        self
    }

    /// What to add to a reason: where the icons came from. Nothing where none did.
    pub(super) fn words(&self, inherited: &[String]) -> Option<String> {
        if inherited.is_empty() {
            return None;
        }
        let names: Vec<String> = inherited.iter().map(|name| format!("`{name}`")).collect();
        let at = match self.photographed.as_str() {
            "" => String::new(),
            at => format!(" at {at}"),
        };
        Some(format!("card {} photographed{at}", names.join(", ")))
    }
}

/// The icons of a photo and of the card that applies to it, put together; and the names of
/// those that came from the card.
///
/// - `lists`: icons that stand for each other, such as all products
///
/// A photo's own icon of a list takes the place of the card's of that list. If it is not
/// sure, both stay and neither is sure: a person has to say which was meant.
pub(super) fn combined(
    own: &[IconFact],
    card: &[IconFact],
    lists: &[Vec<String>],
) -> (Vec<IconFact>, Vec<String>) {
    let mut icons = own.to_vec();
    let mut inherited: Vec<String> = Vec::new();
    for icon in card.iter().filter(|icon| icon.name != END) {
        let is_like = |other: &&IconFact| {
            let both = |list: &Vec<String>| list.contains(&icon.name) && list.contains(&other.name);
            other.name == icon.name || lists.iter().any(both)
        };
        let mut alike = own.iter().filter(is_like);
        if alike.clone().any(|other| other.tier == Tier::Order) {
            continue;
        }
        // The same icon, faint on the photo and sure on the card, is no rival.
        let has_rival = alike.any(|other| other.name != icon.name);
        let tier = if has_rival { Tier::Ask } else { icon.tier };
        icons.push(IconFact { tier, ..icon.clone() });
        if !inherited.contains(&icon.name) {
            inherited.push(icon.name.clone());
        }
    }
    (icons, inherited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Seal;

    fn icon(name: &str, tier: Tier) -> IconFact {
        IconFact {
            name: name.to_owned(),
            tier,
            seal: Seal::None,
            lowered: false,
            score: 0.9,
            size: 0.1,
            x: 0.5,
            y: 0.5,
        }
    }

    #[test]
    fn role_follows_from_sure_icons_and_the_card() {
        let (sure, faint) = (Tier::Order, Tier::Ask);
        for (icons, is_card, expected) in [
            (vec![icon("mug", sure)], true, Role::Card),
            (vec![icon("mug", faint)], true, Role::Photo),
            (vec![icon("mug", sure)], false, Role::Photo),
            (vec![icon("mug", sure), icon(END, sure)], true, Role::Card),
            (vec![icon("mug", sure), icon(END, sure)], false, Role::End),
            (vec![icon(END, sure)], true, Role::End),
            (vec![icon(END, faint)], true, Role::PerhapsEnd),
            (vec![icon(END, faint), icon(END, sure)], false, Role::End),
            (vec![], true, Role::Photo),
        ] {
            let role = Role::of(&icons, is_card);
            assert_eq!(role, expected, "{icons:?} {is_card}");
            assert_eq!(Role::parse(role.as_str()), role);
        }
    }

    #[test]
    fn pause_is_longer_than_its_length_and_not_as_long() {
        let card =
            Step { photo: ContentHash::of(b"card"), taken_ms: 0, role: Role::Card, in_force: None };
        let applies = |taken_ms| in_force(Some(&card), taken_ms, Role::Photo, 1000).is_some();
        assert!(applies(0) && applies(1000));
        assert!(!applies(1001));
        assert_eq!(in_force(None, 0, Role::Photo, 1000), None);
    }

    #[test]
    fn faint_icon_on_the_photo_and_sure_on_the_card_is_sure() {
        let lists = [vec!["mug".to_owned(), "puzzle".to_owned()]];
        let (own, card) = ([icon("mug", Tier::Ask)], [icon("mug", Tier::Order)]);
        let (icons, inherited) = combined(&own, &card, &lists);
        assert!(icons.iter().any(|icon| icon.tier == Tier::Order));
        assert_eq!(inherited, ["mug"]);
        let (icons, inherited) = combined(&card, &card, &lists);
        assert_eq!((icons.len(), inherited.len()), (1, 0));
    }

    #[test]
    fn camera_clock_counts_milliseconds() {
        let (a, b) = (clock_ms("2026-07-01T10:00:00", 999), clock_ms("2026-07-01T10:00:01", 0));
        assert_eq!(b.zip(a).map(|(b, a)| b - a), Some(1));
        assert_eq!(clock_ms("yesterday", 0), None);
    }
}
