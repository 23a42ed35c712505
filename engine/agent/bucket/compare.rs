//! What is to be fetched, and what is to be removed: plain values in, a plan out.
//!
//! In:  a listing that came to its end, what was fetched before, and how files lie in the folder.
//! Out: a [`Plan`].
//!
//! A store that is mistaken must not empty a folder. Missing files are removed at once when they are
//! few; when they are many, only if the listing before missed them too; and never when nothing is
//! listed at all, since a wrong prefix or an emptied bucket looks just so.

use std::collections::{BTreeMap, BTreeSet};

use object_store::ObjectMeta;
use object_store::path::Path as Key;
use serde::{Deserialize, Serialize};

/// Missing files that are removed without a second look.
const FEW: usize = 10;

/// A file that the store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    /// Its name there.
    pub(super) key: Key,
    /// Its path below the folder.
    pub(super) relative: String,
    /// Changes when it is replaced.
    pub(super) etag: Option<String>,
    /// Its length.
    pub(super) bytes_count: u64,
    /// When it was put there, milliseconds since 1970.
    pub(super) modified_ms: i64,
}

impl Object {
    /// `None` for what is no file: empty objects, which stand for folders.
    pub(super) fn of(meta: &ObjectMeta, prefix: &Key) -> Option<Self> {
        let parts: Vec<_> = meta.location.prefix_match(prefix)?.collect();
        let relative: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        let is_safe =
            |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains(['\0', '\\']);
        // Our own names for files that are not whole yet.
        let is_part = relative.last().is_some_and(|name| name.ends_with(".part"));
        if meta.size == 0 || relative.is_empty() || is_part || !relative.iter().all(is_safe) {
            return None;
        }
        Some(Self {
            key: meta.location.clone(),
            relative: relative.join("/"),
            etag: meta.e_tag.clone(),
            bytes_count: meta.size,
            modified_ms: meta.last_modified.timestamp_millis(),
        })
    }
}

/// A file that was fetched, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Its path below the folder.
    pub(super) relative: String,
    /// The store's tag of it.
    pub(super) etag: Option<String>,
    /// Its length.
    pub(super) bytes_count: u64,
    /// Its time of change, in the store and in the folder.
    pub(super) modified_ms: i64,
}

impl Kept {
    pub(super) fn of(object: &Object) -> Self {
        let Object { relative, etag, bytes_count, modified_ms, .. } = object.clone();
        Self { relative, etag, bytes_count, modified_ms }
    }
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// To be fetched.
    pub(super) fetch: Vec<Object>,
    /// Here already, only not written down.
    pub(super) adopt: Vec<Kept>,
    /// To be removed from the folder.
    pub(super) remove: Vec<String>,
    /// What the listing lacks, removed or not.
    pub(super) missing: Vec<String>,
    /// Other files lie where these should.
    pub(super) foreign: Vec<Object>,
}

/// Compares the store with the folder.
///
/// - `missed_before`: what the listing before lacked
/// - `on_disk`: length and time of change of a file in the folder, if it is there
pub(super) fn plan(
    listing: &[Object],
    kept: &BTreeMap<String, Kept>,
    missed_before: &[String],
    on_disk: impl Fn(&str) -> Option<(u64, i64)>,
) -> Plan {
    let mut plan = Plan::default();
    let mut listed = BTreeSet::new();
    for object in listing {
        listed.insert(object.relative.as_str());
        let (now, wanted) = (on_disk(&object.relative), (object.bytes_count, object.modified_ms));
        let before = kept.get(&object.relative);
        if before == Some(&Kept::of(object)) && now == Some(wanted) {
            continue;
        }
        match (before, now) {
            (None, Some(now)) if now == wanted => plan.adopt.push(Kept::of(object)),
            (None, Some(_)) => plan.foreign.push(object.clone()),
            // Somebody changed a file that was fetched: it is theirs now.
            (Some(before), Some(now)) if now != (before.bytes_count, before.modified_ms) => {
                plan.foreign.push(object.clone());
            }
            _ => plan.fetch.push(object.clone()),
        }
    }
    plan.missing = kept.keys().filter(|name| !listed.contains(name.as_str())).cloned().collect();
    let is_few = plan.missing.len() <= FEW.min(kept.len() / 2);
    if !listing.is_empty() {
        let missed_before: BTreeSet<_> = missed_before.iter().collect();
        let is_sure = |name: &&String| is_few || missed_before.contains(name);
        plan.remove = plan.missing.iter().filter(is_sure).cloned().collect();
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(relative: &str, etag: &str, modified_ms: i64) -> Object {
        let (key, etag) = (Key::from(relative), Some(etag.to_owned()));
        Object { key, relative: relative.into(), etag, bytes_count: 10, modified_ms }
    }

    fn kept(objects: &[Object]) -> BTreeMap<String, Kept> {
        objects.iter().map(|object| (object.relative.clone(), Kept::of(object))).collect()
    }

    fn many(count: usize) -> Vec<Object> {
        (0..count).map(|number| object(&format!("{number:04}.jpg"), "e", 5)).collect()
    }

    /// What is fetched, adopted, foreign: counts.
    fn check(
        store: &Object,
        before: Option<&Object>,
        on_disk: Option<(u64, i64)>,
        expected: (usize, usize, usize),
    ) {
        let before = before.map(|object| kept(std::slice::from_ref(object))).unwrap_or_default();
        let plan = plan(std::slice::from_ref(store), &before, &[], |_| on_disk);
        let counts = (plan.fetch.len(), plan.adopt.len(), plan.foreign.len());
        assert_eq!(counts, expected, "{store:?} {before:?} {on_disk:?}");
        assert!(plan.remove.is_empty());
    }

    #[test]
    fn file_is_fetched_when_it_is_new_replaced_or_gone_here() {
        let (old, new) = (object("a.jpg", "1", 5), object("a.jpg", "2", 9));
        check(&old, None, None, (1, 0, 0));
        check(&old, Some(&old), Some((10, 5)), (0, 0, 0));
        check(&old, Some(&old), None, (1, 0, 0));
        check(&new, Some(&old), Some((10, 5)), (1, 0, 0));
        // Replaced within the same second by as many bytes: only the tag tells.
        check(&object("a.jpg", "2", 5), Some(&old), Some((10, 5)), (1, 0, 0));
    }

    #[test]
    fn file_of_somebody_else_is_left_alone() {
        let store = object("a.jpg", "1", 5);
        check(&store, None, Some((10, 5)), (0, 1, 0));
        check(&store, None, Some((11, 5)), (0, 0, 1));
        check(&store, Some(&store), Some((10, 6)), (0, 0, 1));
    }

    #[test]
    fn few_missing_files_go_at_once_and_many_after_a_second_look() {
        let all = many(100);
        let missing = |listing: &[Object], before: &[String]| {
            plan(listing, &kept(&all), before, |_| Some((10, 5)))
        };
        assert_eq!(missing(&all[3..], &[]).remove.len(), 3);
        let first = missing(&all[60..], &[]);
        assert_eq!((first.remove.len(), first.missing.len()), (0, 60));
        assert_eq!(missing(&all[60..], &first.missing).remove.len(), 60);
        assert_eq!(missing(&all[61..], &first.missing).remove.len(), 60, "one is missed only now");
    }

    #[test]
    fn empty_listing_removes_nothing_however_often() {
        let all = many(3);
        let first = plan(&[], &kept(&all), &[], |_| Some((10, 5)));
        assert_eq!((first.remove.len(), first.missing.len()), (0, 3));
        assert!(plan(&[], &kept(&all), &first.missing, |_| Some((10, 5))).remove.is_empty());
    }

    #[test]
    fn object_that_is_no_file_of_a_folder_is_passed_over() {
        let meta = |location: &str, size| ObjectMeta {
            location: Key::parse(location).expect("a key"),
            last_modified: std::time::UNIX_EPOCH.into(),
            size,
            e_tag: None,
            version: None,
        };
        let of = |location: &str, size| Object::of(&meta(location, size), &Key::from("photos"));
        let name = |location: &str| of(location, 1).map(|object| object.relative);
        assert_eq!(name("photos/2026/a b.jpg").as_deref(), Some("2026/a b.jpg"));
        assert_eq!(name("photos/ü.jpg").as_deref(), Some("ü.jpg"));
        assert_eq!(of("photos/2026", 0), None, "a folder");
        for other in ["photos", "photographs/a.jpg", "photos/a\\b.jpg", "photos/a.jpg.part"] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
