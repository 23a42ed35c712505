//! Which files of a folder are one photo, as far as their names tell.
//!
//! In:  names of files, of any bytes.
//! Out: what a name may be, which companions a photo may have beside it, and how close a
//!      companion's name is to a photo's.
//!
//! Names are the weakest link: what files say of each other weighs more
//! (`media::companion::belongs`). Extensions mean the same in any case. Stems are the same
//! in their letters, or, as memory cards have it, but for upper and lower case; where
//! both are there, the one that is the same in its letters wins ([`photos_of`]).
//!
//! A raw file beside a developed picture of its name is a companion of that picture. It
//! is a photo only when it is alone; else one wish would be ordered twice.
//!
//! Knows nothing of contents or disks.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::base::member::Member;

/// Extensions of pictures that are ready to be looked at.
pub const PICTURE_EXTENSIONS: [&str; 13] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "tif", "tiff", "heic", "heif", "hif", "avif",
    "gif",
];

/// Extensions of cameras' raw data.
pub const RAW_EXTENSIONS: [&str; 8] = ["nef", "nrw", "cr2", "cr3", "arw", "dng", "raf", "orf"];

/// Extensions of companions that carry the photo's stem, and what they are.
const COMPANION_EXTENSIONS: [(&str, Member); 9] = [
    ("wav", Member::VoiceMemo),
    ("mov", Member::Motion),
    ("mp4", Member::Motion),
    ("m4v", Member::Motion),
    ("3gp", Member::Motion),
    // Google Takeout leaves the film of `PXL_1.MP.jpg` as `PXL_1.MP`.
    ("mp", Member::Motion),
    ("xmp", Member::Sidecar),
    ("aae", Member::Edits),
    ("thm", Member::Thumbnail),
];

/// Extensions that [`candidates`] asks for; the rest is too rare to be asked for each photo.
const PROBED: [&str; 6] = ["wav", "mov", "mp4", "xmp", "aae", "thm"];

/// What Google Takeout puts between a photo's name and `.json`, before it cuts.
const TAKEOUT_SUFFIX: &str = "supplemental-metadata";

/// Google Takeout cuts names so that `.json` ends at 51 characters.
const TAKEOUT_CUT_CHARS: usize = 46;

/// How Google Takeout marks the edited copy of a photo, which has no JSON of its own.
const EDITED_SUFFIXES: [&str; 5] = ["-edited", "-bearbeitet", "-modifié", "-editado", "-bewerkt"];

/// Names of an album's own JSON, in the languages seen.
pub const ALBUM_NAMES: [&str; 5] =
    ["metadata.json", "metadaten.json", "métadonnées.json", "metadatos.json", "metadati.json"];

/// Names of print orders on a card: as the standard has it, and as one writer has it.
const PRINT_MARKS_NAMES: [&str; 2] = ["AUTPRINT.MRK", "AUTRINT.MRK"];

/// What a file of some name may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A picture, or raw data (see [`is_raw`]).
    Photo,
    /// Something that travels with a photo.
    Companion(Member),
    /// A print order on a card (DPOF).
    PrintMarks,
    /// What Google Takeout says of the album that the folder is.
    Album,
    /// None of our business.
    Other,
}

/// How close a companion's name is to a photo's; closest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// The photo's whole name and more: `a.jpg.xmp`, `a.jpg.json`.
    Name,
    /// The same but for the extension: `a.wav`.
    Stem,
    /// The whole name as far as it was not cut: Google's JSON. Several photos may fit.
    Cut,
    /// The same number in a camera's folder: `SND_0001.WAV` of `IMG_0001.JPG`.
    Number,
    /// Of the photo that this one is an edited copy of: `IMG_1234.AAE` of `IMG_E1234.JPG`.
    Edited,
}

/// A companion's name fits a photo's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tie {
    /// How close the names are.
    pub nearness: Nearness,
    /// They differ in upper and lower case.
    pub differs_in_case: bool,
    /// What the companion is.
    pub member: Member,
}

/// What a file of this name may be. Names that begin with a dot belong to programs.
pub fn kind_of(name: &OsStr) -> Kind {
    let (_, extension) = split(name);
    let is = |known: &str| extension.eq_ignore_ascii_case(known.as_bytes());
    let is_name = |known: &&str| name.as_bytes().eq_ignore_ascii_case(known.as_bytes());
    if name.as_bytes().starts_with(b".") {
        Kind::Other
    } else if PICTURE_EXTENSIONS.into_iter().any(is) || is_raw(name) {
        Kind::Photo
    } else if PRINT_MARKS_NAMES.iter().any(is_name) {
        Kind::PrintMarks
    } else if is("json") {
        let (plain, _) = without_counter(name.as_bytes());
        let is_album = ALBUM_NAMES.iter().any(|album| plain.eq_ignore_ascii_case(album.as_bytes()));
        if is_album { Kind::Album } else { Kind::Companion(Member::Takeout) }
    } else {
        COMPANION_EXTENSIONS
            .into_iter()
            .find(|(known, _)| is(known))
            .map_or(Kind::Other, |(_, member)| Kind::Companion(member))
    }
}

/// Whether a name is one of raw data.
pub fn is_raw(name: &OsStr) -> bool {
    let (_, extension) = split(name);
    !name.as_bytes().starts_with(b".")
        && RAW_EXTENSIONS.iter().any(|raw| extension.eq_ignore_ascii_case(raw.as_bytes()))
}

/// How well a companion's name fits a photo in the same folder; `None` when it does not.
///
/// Raw data fits a developed picture, never the other way round.
pub fn tie(photo: &OsStr, companion: &OsStr) -> Option<Tie> {
    let member = match kind_of(companion) {
        Kind::Companion(member) => member,
        Kind::Photo if is_raw(companion) && !is_raw(photo) => Member::Raw,
        _ => return None,
    };
    if kind_of(photo) != Kind::Photo {
        return None;
    }
    let nearness = |photo: &[u8], companion: &[u8]| match member {
        Member::Takeout => takeout_nearness(photo, companion),
        _ => stem_nearness(photo, companion, member),
    };
    let (photo, companion) = (photo.as_bytes(), companion.as_bytes());
    // Extensions mean the same in any case, so they are lowered for the first look too.
    let first = || nearness(&lower_extension(photo), &lower_extensions(companion));
    let second = || nearness(&photo.to_ascii_lowercase(), &companion.to_ascii_lowercase());
    let tie = |nearness, differs_in_case| Tie { nearness, differs_in_case, member };
    [first().map(|found| tie(found, false)), second().map(|found| tie(found, true))]
        .into_iter()
        .flatten()
        .min()
}

/// Which photos of a folder a companion may belong to, by its name: those that are closest.
///
/// Several when its name does not tell: `a.xmp` beside `a.jpg` and `a.png`.
pub fn photos_of<'a>(
    companion: &OsStr,
    names: impl IntoIterator<Item = &'a OsStr>,
) -> Vec<&'a OsStr> {
    let mut tied: Vec<(Tie, &OsStr)> =
        names.into_iter().filter_map(|name| Some((tie(name, companion)?, name))).collect();
    let closest = tied.iter().map(|(tie, _)| *tie).min();
    tied.retain(|(tie, _)| Some(*tie) == closest);
    tied.into_iter().map(|(_, name)| name).collect()
}

/// Names that companions of a photo may have beside it, likeliest first; 64 at most.
///
/// These are for asking the disk, which may tell upper from lower case: each extension
/// is there in the case of the photo's own and in the other. Each is tied to the photo.
pub fn candidates(photo: &OsStr) -> Vec<OsString> {
    let (stem, extension) = split(photo);
    if kind_of(photo) != Kind::Photo {
        return Vec::new();
    }
    let is_upper = extension.iter().any(u8::is_ascii_uppercase);
    let cased = |extension: &str| {
        let (lower, upper) = (extension.to_ascii_lowercase(), extension.to_ascii_uppercase());
        if is_upper { [upper, lower] } else { [lower, upper] }
    };
    let mut names = Vec::new();
    let mut add = |parts: &[&[u8]]| {
        let name = OsString::from_vec(parts.concat());
        if !names.contains(&name) {
            names.push(name);
        }
    };
    for extension in PROBED.iter().flat_map(|extension| cased(extension)) {
        add(&[stem, b".", extension.as_bytes()]);
    }
    add(&[photo.as_bytes(), b".xmp"]);
    for name in takeout_names(photo.as_bytes()) {
        add(&[&name, b".json"]);
    }
    if stem.to_ascii_lowercase().ends_with(b".mp") {
        add(&[stem]);
    }
    if !is_raw(photo) {
        for extension in RAW_EXTENSIONS.iter().flat_map(|extension| cased(extension)) {
            add(&[stem, b".", extension.as_bytes()]);
        }
    }
    for film in cased("mov") {
        add(&[stem, LIVE_SUFFIX, b".", film.as_bytes()]);
    }
    if let Some(original) = original_of_edited(stem) {
        for extension in ["aae", "mov"].into_iter().flat_map(cased) {
            add(&[&original, b".", extension.as_bytes()]);
        }
    }
    if let Some((prefix, number)) = dcf_number(stem)
        && !prefix.eq_ignore_ascii_case(b"SND_")
    {
        for extension in cased("wav") {
            add(&[b"SND_", number, b".", extension.as_bytes()]);
        }
    }
    names
}

/// Names of pictures whose raw data a file may be. Where one of them is beside it, the raw
/// file is a companion and no photo.
pub fn pictures_of(raw: &OsStr) -> Vec<OsString> {
    let (stem, _) = split(raw);
    let cases = |extension: &str| [extension.to_ascii_lowercase(), extension.to_ascii_uppercase()];
    let extensions = PICTURE_EXTENSIONS.iter().filter(|_| is_raw(raw)).flat_map(|one| cases(one));
    extensions
        .map(|extension| OsString::from_vec([stem, b".", extension.as_bytes()].concat()))
        .collect()
}

/// What one tool puts behind the stem of a Live Photo's film when it fetches it.
const LIVE_SUFFIX: &[u8] = b"_HEVC";

/// `None` without an extension; the dot is in neither part.
fn split_bytes(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
    Some((name.get(..dot)?, name.get(dot + 1..)?))
}

fn split(name: &OsStr) -> (&[u8], &[u8]) {
    split_bytes(name.as_bytes()).unwrap_or((name.as_bytes(), b""))
}

/// The name with its extension in lower case.
fn lower_extension(name: &[u8]) -> Vec<u8> {
    let (stem, extension) = split(OsStr::from_bytes(name));
    let dot = if stem.len() < name.len() { b".".as_slice() } else { b"" };
    [stem, dot, &extension.to_ascii_lowercase()].concat()
}

/// And that of the photo's name before it, where there is one: `a.JPG.XMP` becomes
/// `a.jpg.xmp`.
fn lower_extensions(name: &[u8]) -> Vec<u8> {
    match split_bytes(name) {
        Some((stem, extension)) if kind_of(OsStr::from_bytes(stem)) == Kind::Photo => {
            [lower_extension(stem), extension.to_ascii_lowercase()].join(&b'.')
        }
        _ => lower_extension(name),
    }
}

fn stem_nearness(photo: &[u8], companion: &[u8], member: Member) -> Option<Nearness> {
    let (photo_stem, _) = split_bytes(photo)?;
    let (stem, extension) = split_bytes(companion)?;
    if stem == photo {
        return Some(Nearness::Name);
    }
    // The film `PXL_1.MP` of `PXL_1.MP.jpg`; extensions are in lower case by now.
    let is_same = stem == photo_stem
        || (extension == b"mp" && companion.eq_ignore_ascii_case(photo_stem))
        || (member == Member::Motion && without_live_suffix(stem) == Some(photo_stem));
    if is_same {
        return Some(Nearness::Stem);
    }
    let number = |stem| dcf_number(stem).map(|(_, number)| number);
    let is_numbered = matches!(member, Member::VoiceMemo | Member::Thumbnail)
        && number(stem).is_some()
        && number(stem) == number(photo_stem);
    if is_numbered {
        return Some(Nearness::Number);
    }
    let is_of_original = matches!(member, Member::Edits | Member::Motion)
        && original_of_edited(photo_stem).as_deref() == Some(stem);
    is_of_original.then_some(Nearness::Edited)
}

fn without_live_suffix(stem: &[u8]) -> Option<&[u8]> {
    let (plain, suffix) = stem.split_at_checked(stem.len().checked_sub(LIVE_SUFFIX.len())?)?;
    suffix.eq_ignore_ascii_case(LIVE_SUFFIX).then_some(plain)
}

/// The four free characters and the number of a camera's file name (DCF: `ABCD0001`).
fn dcf_number(stem: &[u8]) -> Option<(&[u8], &[u8])> {
    let (prefix, number) = stem.split_at_checked(4).filter(|(_, number)| number.len() == 4)?;
    let is_free = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    (number.iter().all(u8::is_ascii_digit) && prefix.iter().all(is_free))
        .then_some((prefix, number))
}

/// `IMG_1234` of `IMG_E1234`, as phones name what was edited.
fn original_of_edited(stem: &[u8]) -> Option<Vec<u8>> {
    let (head, number) = stem.split_at_checked(5)?;
    let is_edited = head.eq_ignore_ascii_case(b"IMG_E")
        && !number.is_empty()
        && number.iter().all(u8::is_ascii_digit);
    is_edited.then(|| [head.get(..4).unwrap_or_default(), number].concat())
}

/// Takes `(1)` from before the extension: the name without it, and it.
fn without_counter(name: &[u8]) -> (Vec<u8>, &[u8]) {
    let (stem, dot_extension) = match split_bytes(name) {
        Some((stem, _)) => name.split_at(stem.len()),
        None => (name, b"".as_slice()),
    };
    let (plain, counter) = split_counter(stem);
    ([plain, dot_extension].concat(), counter)
}

/// Splits `(1)` from an end.
fn split_counter(text: &[u8]) -> (&[u8], &[u8]) {
    let begin = text
        .strip_suffix(b")")
        .and_then(|inside| inside.iter().rposition(|byte| !byte.is_ascii_digit()))
        .filter(|at| text.get(*at) == Some(&b'(') && *at > 0 && *at + 2 < text.len());
    begin.map_or((text, b"".as_slice()), |at| text.split_at(at))
}

/// The names without `.json` that Google Takeout may give to what it says of a photo.
fn takeout_names(photo: &[u8]) -> Vec<Vec<u8>> {
    let (plain, counter) = without_counter(photo);
    let mut names = Vec::new();
    for photo in std::iter::once(plain.clone()).chain(unedited(&plain)) {
        let full = [photo.as_slice(), b".", TAKEOUT_SUFFIX.as_bytes()].concat();
        for name in [full.as_slice(), &photo] {
            names.push([cut(name), counter].concat());
        }
    }
    if !counter.is_empty() {
        // Some exports leave the counter where it is.
        names.push(cut(photo).to_vec());
    }
    names
}

/// The first characters, as many as Google leaves; bytes where they are no text.
fn cut(name: &[u8]) -> &[u8] {
    let end = match std::str::from_utf8(name) {
        Ok(text) => text.char_indices().nth(TAKEOUT_CUT_CHARS).map(|(at, _)| at),
        Err(_) => Some(TAKEOUT_CUT_CHARS),
    };
    end.and_then(|end| name.get(..end)).unwrap_or(name)
}

/// The name of the photo that this is Google's edited copy of.
fn unedited(photo: &[u8]) -> Option<Vec<u8>> {
    let (stem, _) = split_bytes(photo)?;
    let plain = EDITED_SUFFIXES
        .iter()
        .find_map(|mark| stem.strip_suffix(mark.as_bytes()))
        .filter(|plain| !plain.is_empty())?;
    Some([plain, photo.get(stem.len()..)?].concat())
}

fn takeout_nearness(photo: &[u8], json: &[u8]) -> Option<Nearness> {
    let (base, _) = split_bytes(json)?;
    let (plain_base, base_counter) = split_counter(base);
    let (plain, counter) = without_counter(photo);
    let fits = |photo: &[u8], base: &[u8]| {
        let full = [photo, b".", TAKEOUT_SUFFIX.as_bytes()].concat();
        match base.strip_prefix(photo) {
            Some(rest) if full.starts_with(base) || rest.is_empty() => Some(Nearness::Name),
            // Cut within the photo's own name.
            None if cut(photo) == base && base.len() < photo.len() => Some(Nearness::Cut),
            _ => None,
        }
    };
    let same_counter = || (counter == base_counter).then(|| fits(&plain, plain_base)).flatten();
    fits(photo, base).or_else(same_counter).or_else(|| {
        let original = unedited(&plain).filter(|_| counter == base_counter)?;
        fits(&original, plain_base).map(|_| Nearness::Edited)
    })
}

#[cfg(test)]
mod tests;
