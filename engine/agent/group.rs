//! What belongs to a photo just now: companions inside its file and beside it, print orders
//! that name it, words written of it elsewhere.
//!
//! In:  a photo's analysis, where it lies, and the index. Out: a [`Group`], or which photos a
//! companion or a print order is for.
//!
//! Nothing of it is kept: names and contents are compared anew each time, so that a companion
//! which comes late, moves or goes changes what is found and nothing else. It costs some thirty
//! look-ups in the index.
//!
//! Raw data beside a developed picture of its name is a companion of that picture, and no photo
//! of its own ([`Group::is_part`]).
//!
//! Knows no disk and no rules.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::analyse::Analysis;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::collection::group::{self, Kind, PICTURE_EXTENSIONS};
use crate::media::companion::belongs;
use crate::media::dpof::{PrintJob, PrintKind, PrintSize};
use crate::media::{CompanionFacts, Embedded, Evidence, Words};
use crate::orders::plan::Missing;
use crate::rules::facts::{self, CompanionFact, Facts, PrintFact, WordsFact};
use crate::store::index::Index;
use crate::store::{Held, StoreError};

/// Places of one photo that are looked at; copies beyond them have nothing to add.
const PLACES_MAX: usize = 8;

/// What belongs to a photo.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Each content once, those inside the file first.
    pub(super) companions: Vec<Companion>,
    /// Companions that the photo says exist and that are not there.
    pub(super) missing: Vec<Missing>,
    /// Print jobs that name it.
    pub(super) jobs: Vec<PrintFact>,
    /// Its own words, and those of sidecars.
    pub(super) words: Words,
    /// It is raw data of a developed picture beside it.
    pub(super) is_part: bool,
}

/// One companion of a photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Companion {
    pub(super) member: Member,
    /// Name of its file; of one inside the photo's file the name it would get.
    pub(super) name: String,
    pub(super) media_type: String,
    pub(super) bytes_count: u64,
    pub(super) evidence: Evidence,
    pub(super) lies: Lies,
}

/// Where a companion's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lies {
    /// In the photo's file, from this byte on.
    Inside(u64),
    /// A file of its own, with this content.
    Beside(ContentHash),
}

impl Group {
    /// Finds what belongs to a photo, wherever it lies.
    pub(super) fn of(
        index: &Index,
        photo: &ContentHash,
        analysis: &Analysis,
    ) -> Result<Self, StoreError> {
        let mut places: Vec<(String, PathBuf)> = index
            .locations(photo)?
            .into_iter()
            .map(|place| (place.collection, place.path))
            .take(PLACES_MAX)
            .collect();
        if places.is_empty() {
            places.extend(index.first_place(photo)?);
        }
        let mut group = Self { words: analysis.extras.words.clone(), ..Self::default() };
        let name = places.first().map(|(_, path)| name_of(path)).unwrap_or_default();
        let inside = analysis.extras.embedded.iter().enumerate();
        group.companions.extend(inside.map(|(number, part)| Companion {
            member: part.member,
            name: embedded_name(name, number, part),
            media_type: part.media_type.clone(),
            bytes_count: part.bytes_count,
            evidence: part.evidence,
            lies: Lies::Inside(part.offset),
        }));
        for (collection, path) in &places {
            group.look_beside(index, analysis, collection, path)?;
            group.is_part |= !developed_beside(index, collection, path)?.is_empty();
            for job in index.marks_of(collection, path)? {
                group.jobs.extend(serde_json::from_str::<PrintFact>(&job).ok());
            }
        }
        group.find_missing(analysis);
        Ok(group)
    }

    fn look_beside(
        &mut self,
        index: &Index,
        analysis: &Analysis,
        collection: &str,
        photo: &Path,
    ) -> Result<(), StoreError> {
        for path in candidates(photo, analysis) {
            let Some(held) = index.held_at(collection, &path)? else { continue };
            let name = name_of(&path);
            let (hash, found) = match held {
                Held::Companion(row) => {
                    let Ok(facts) = serde_json::from_str::<CompanionFacts>(&row.facts_json) else {
                        continue;
                    };
                    let tie = belongs(name_of(photo), &analysis.extras, name, &facts);
                    let Some(evidence) = tie else { continue };
                    self.words.fill_from(&facts.words);
                    (row.hash, (facts.member, facts.media_type, row.bytes_count, evidence))
                }
                Held::Photo(hash, json) if group::tie(name_of(photo), name).is_some() => {
                    // Raw data that was there first was looked at as a photo.
                    let Ok(raw) = serde_json::from_str::<Analysis>(&json) else { continue };
                    (hash, (Member::Raw, raw.media_type, raw.bytes_count, Evidence::Stem))
                }
                Held::Photo(..) | Held::Nothing => continue,
            };
            let lies = Lies::Beside(hash);
            if self.companions.iter().all(|known| known.lies != lies) {
                let (member, media_type, bytes_count, evidence) = found;
                let name = name.to_string_lossy().into_owned();
                let companion = Companion { member, name, media_type, bytes_count, evidence, lies };
                self.companions.push(companion);
            }
        }
        Ok(())
    }

    /// Compares what the photo promises with what is there.
    fn find_missing(&mut self, analysis: &Analysis) {
        let has = |member| self.companions.iter().any(|companion| companion.member == member);
        let promised = analysis.extras.promised.iter().filter(|promise| !has(promise.member));
        let mut missing: Vec<Missing> = promised
            .map(|promise| Missing { member: promise.member, name: promise.name.clone() })
            .collect();
        let is_live = analysis.extras.content_id.is_some() && !has(Member::Motion);
        if is_live && missing.iter().all(|promise| promise.member != Member::Motion) {
            missing.push(Missing { member: Member::Motion, name: None });
        }
        self.missing = missing;
    }

    /// Adds what belongs to the photo to its facts.
    pub(super) fn add_to(&self, facts: &mut Facts) {
        let companion = |companion: &Companion| CompanionFact {
            role: companion.member,
            name: companion.name.clone(),
            media_type: companion.media_type.clone(),
            bytes_count: companion.bytes_count,
        };
        facts.companions = self.companions.iter().map(companion).collect();
        facts.dpof.clone_from(&self.jobs);
        facts.words = WordsFact {
            keywords: self.words.keywords.clone(),
            title: self.words.title.clone().unwrap_or_default(),
            instructions: self.words.instructions.clone().unwrap_or_default(),
            rating: self.words.rating.unwrap_or(0),
        };
    }

    /// Kinds of companions that are there.
    pub(super) fn members(&self) -> BTreeSet<Member> {
        self.companions.iter().map(|companion| companion.member).collect()
    }

    /// Raw data beside the photo.
    pub(super) fn raws(&self) -> impl Iterator<Item = (&str, ContentHash)> {
        self.companions.iter().filter_map(|companion| match companion {
            Companion { member: Member::Raw, lies: Lies::Beside(hash), name, .. } => {
                Some((name.as_str(), *hash))
            }
            _ => None,
        })
    }
}

/// Paths at which companions of a photo may lie, with those that it names itself.
pub(super) fn candidates(photo: &Path, analysis: &Analysis) -> Vec<PathBuf> {
    let mut names = group::candidates(name_of(photo));
    let promised = analysis.extras.promised.iter().filter_map(|promise| promise.name.as_ref());
    for name in promised {
        // A name from inside a photo leads nowhere else.
        let is_plain = Path::new(name).file_name() == Some(OsStr::new(name));
        for name in [name.clone(), name.to_lowercase(), name.to_uppercase()] {
            let name = OsString::from(name);
            if is_plain && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.into_iter().map(|name| photo.with_file_name(name)).collect()
}

/// Developed pictures that a raw file lies beside, by content; none of any other file.
pub(super) fn developed_beside(
    index: &Index,
    collection: &str,
    photo: &Path,
) -> Result<Vec<ContentHash>, StoreError> {
    let mut found = Vec::new();
    for path in developed_paths(photo) {
        if let Some(Held::Photo(hash, _)) = index.held_at(collection, &path)? {
            found.push(hash);
        }
    }
    Ok(found)
}

/// Paths at which the developed picture of a raw file may lie; none of any other file.
pub(super) fn developed_paths(photo: &Path) -> Vec<PathBuf> {
    if !group::is_raw(name_of(photo)) {
        return Vec::new();
    }
    let extensions = PICTURE_EXTENSIONS.into_iter();
    let cased = extensions.flat_map(|lower| [lower.to_owned(), lower.to_uppercase()]);
    cased.map(|extension| photo.with_extension(extension)).collect()
}

/// Photos in the folder of a companion that it may belong to, by content.
///
/// Found by how their names begin, in the companion's letters and in upper and lower case. A
/// recording that shares nothing but a number with its photo is found when the photo is judged.
pub(super) fn photos_beside(
    index: &Index,
    collection: &str,
    companion: &Path,
) -> Result<BTreeSet<ContentHash>, StoreError> {
    let stem = begin_of(name_of(companion));
    let mut begins: BTreeSet<Vec<u8>> =
        [stem.to_vec(), stem.to_ascii_lowercase(), stem.to_ascii_uppercase()].into();
    // `IMG_1234.AAE` is also of `IMG_E1234.JPG`.
    if let Some((b"IMG_", number)) = stem.split_at_checked(4) {
        begins.insert([b"IMG_E", number].concat());
    }
    let mut photos = BTreeSet::new();
    for begin in begins.into_iter().filter(|begin| !begin.is_empty()) {
        let begin = companion.with_file_name(OsString::from_vec(begin));
        for (path, photo) in index.photos_beginning(collection, &begin)? {
            let Some(row) = index.photo(&photo)? else { continue };
            let Ok(analysis) = serde_json::from_str::<Analysis>(&row.analysis_json) else {
                continue;
            };
            if candidates(&path, &analysis).iter().any(|path| path == companion) {
                photos.insert(photo);
            }
        }
    }
    Ok(photos)
}

/// How the names of photos begin that a companion of this name may belong to.
fn begin_of(companion: &OsStr) -> &[u8] {
    let without_end =
        |name: &[u8]| name.iter().rposition(|byte| *byte == b'.').unwrap_or(name.len());
    let name = companion.as_bytes();
    let stem = name.get(..without_end(name)).unwrap_or(name);
    let stem = stem.strip_suffix(b"_HEVC").unwrap_or(stem);
    if group::kind_of(companion) != Kind::Companion(Member::Takeout) {
        return stem;
    }
    // `name.ext.supplemental-metadata(1).json`, cut anywhere: `name` is left of it.
    let once = stem.get(..without_end(stem)).unwrap_or(stem);
    once.get(..without_end(once)).unwrap_or(once)
}

/// The job of a print order as rules see it.
pub(super) fn print_fact(job: &PrintJob, creator: Option<&str>) -> PrintFact {
    let (kind, size_mm) = match job.kind {
        PrintKind::Standard => (facts::PrintKind::Standard, 0),
        PrintKind::Index => (facts::PrintKind::Index, 0),
        PrintKind::Multiple(_) => (facts::PrintKind::Multiple, 0),
        PrintKind::Sized(PrintSize::Millimetres(size_mm)) => (facts::PrintKind::Sized, size_mm),
        PrintKind::Sized(PrintSize::Any | PrintSize::Class(_)) => (facts::PrintKind::Sized, 0),
    };
    PrintFact {
        kind,
        copies: u32::from(job.copies),
        size_mm: u32::from(size_mm),
        channel: u32::from(job.channel.unwrap_or(0)),
        paper: job.paper.clone().unwrap_or_default(),
        caption: job.caption.clone().unwrap_or_default(),
        creator: creator.unwrap_or_default().to_owned(),
    }
}

/// What a file of a collection is read as.
pub(super) fn kind_of(path: &Path) -> Kind {
    group::kind_of(name_of(path))
}

fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

/// Name of a part of a photo's file, were it a file: `IMG_1-motion.mp4`.
fn embedded_name(photo: &OsStr, number: usize, part: &Embedded) -> String {
    let stem = Path::new(photo).file_stem().unwrap_or_default().to_string_lossy();
    let extension = match part.media_type.as_str() {
        "video/mp4" => "mp4",
        "video/quicktime" => "mov",
        "image/jpeg" => "jpg",
        "audio/mp4" => "m4a",
        "audio/wav" => "wav",
        _ => "bin",
    };
    let number = if number == 0 { String::new() } else { format!("-{number}") };
    format!("{stem}-{}{number}.{extension}", part.member)
}

/// The word that a manifest has for how two things are known to belong together.
pub(super) fn evidence_word(evidence: Evidence) -> Option<String> {
    serde_json::to_value(evidence).ok()?.as_str().map(str::to_owned)
}

#[cfg(test)]
#[path = "group/tests.rs"]
mod tests;
