//! Decides whether a companion belongs to a photo, from all that is known of both.
//!
//! In:  names of both in one folder, what the photo's bytes say, what the companion says.
//! Out: how it is known that they belong together, or that they do not.
//!
//! What the files say weighs more than what they are called: two identifiers that differ
//! are no pair though the names agree. Silence says nothing: a film that was converted
//! has lost its identifier and still has its name.

use std::ffi::OsStr;
use std::path::Path;

use super::{CompanionFacts, Link};
use crate::base::member::Member;
use crate::collection::group::{Nearness, Tie, tie};
use crate::media::extras::{Evidence, Extras};

/// How it is known that a companion belongs to a photo in the same folder; `None`: it
/// does not. What the files say weighs more than what they are called.
pub fn belongs(
    photo: &OsStr,
    extras: &Extras,
    companion: &OsStr,
    facts: &CompanionFacts,
) -> Option<Evidence> {
    let tie = tie(photo, companion);
    if extras.promised.iter().any(|promise| is_named(companion, promise.name.as_deref())) {
        return Some(Evidence::SoundFile);
    }
    match &facts.link {
        Some(Link::ContentId(theirs)) => match &extras.content_id {
            Some(ours) if ours.eq_ignore_ascii_case(theirs) => Some(Evidence::ContentId),
            Some(_) => None,
            None => by_name(tie?),
        },
        Some(Link::RelatedImage(name)) => {
            if is_named(photo, Some(name)) {
                return Some(Evidence::RelatedImage);
            }
            // Both were renamed alike: each still names the other as it was.
            let was_renamed = extras.promised.iter().any(|promise| {
                promise.name.as_deref().is_some_and(|sound| is_same_stem(sound, name))
            });
            if was_renamed { by_name(tie?) } else { None }
        }
        Some(Link::SidecarFor(extension)) => {
            let tie = tie?;
            let is_ours =
                Path::new(photo).extension().is_some_and(|own| own.eq_ignore_ascii_case(extension));
            (tie.nearness == Nearness::Name || is_ours).then_some(Evidence::SidecarName)
        }
        Some(Link::Title(title)) => match tie {
            // Names were cut, so several photos may fit: the title tells.
            Some(Tie { nearness: Nearness::Cut, .. }) if !is_title_of(title, photo) => None,
            Some(_) => Some(Evidence::TakeoutName),
            None => None,
        },
        None => by_name(tie?),
    }
}

fn by_name(tie: Tie) -> Option<Evidence> {
    Some(match (tie.member, tie.nearness) {
        (Member::Sidecar, _) => Evidence::SidecarName,
        (Member::Takeout, _) => Evidence::TakeoutName,
        (_, Nearness::Number) => Evidence::Number,
        _ => Evidence::Stem,
    })
}

fn is_named(name: &OsStr, wanted: Option<&str>) -> bool {
    wanted.is_some_and(|wanted| name.eq_ignore_ascii_case(base_name(wanted)))
}

/// Some writers put folders before the name.
fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn is_same_stem(one: &str, other: &str) -> bool {
    let stem = |path| Path::new(base_name(path)).file_stem().unwrap_or_default().to_owned();
    stem(one).eq_ignore_ascii_case(stem(other))
}

/// Whether a title may be that of a photo whose name Google cut: as far as the photo's
/// stem goes they are the same. What no file can be called by became `_`.
fn is_title_of(title: &str, photo: &OsStr) -> bool {
    let photo = Path::new(photo).file_stem().unwrap_or_default().as_encoded_bytes();
    let title = title.as_bytes();
    title.len() >= photo.len()
        && photo.iter().zip(title).all(|(ours, theirs)| ours == theirs || *ours == b'_')
}
