//! Reads what a photo's own bytes say of the data that travels with it.
//!
//! In:  the whole file of a photo, in any format. Out: [`Extras`].
//!
//! Never fails: what cannot be read is absent. Nothing larger than metadata is copied.

use super::blocks::{Blocks, Iptc};
use super::bytes::text;
use super::xmp::Xmp;
use super::{embedded, iptc, xmp};
use crate::base::member::Member;
use crate::media::extras::{Evidence, Extras, Promise, Words};
use crate::media::ifd::{Directory, Tiff};

/// Tag of the Exif directory in the first one.
const EXIF_TAG: u16 = 0x8769;
/// Name of the recording that belongs to the photo.
const SOUND_FILE_TAG: u16 = 0xA004;
const MAKER_NOTE_TAG: u16 = 0x927C;
/// In Apple's notes: the identifier that a Live Photo shares with its film.
const CONTENT_ID_TAG: u16 = 0x0011;

impl Extras {
    /// Reads what the bytes of a photo say of the data that travels with it.
    pub fn read(bytes: &[u8]) -> Self {
        let blocks = Blocks::find(bytes);
        let xmp = blocks.xmp.as_deref().and_then(xmp::read).unwrap_or_default();
        let exif = blocks
            .exif
            .as_deref()
            .and_then(Tiff::read)
            .and_then(|tiff| tiff.chain().next()?.children(EXIF_TAG).next());
        let embedded = embedded::parts(bytes, &blocks, &xmp);
        let mut promised = Vec::new();
        if let Some(name) = exif.and_then(|exif| sound_file(&text(exif.bytes(SOUND_FILE_TAG)?)?)) {
            promised.push(Promise {
                member: Member::VoiceMemo,
                name: Some(name),
                evidence: Evidence::SoundFile,
            });
        }
        let has_film = embedded.iter().any(|part| part.member == Member::Motion);
        if promises_film(&xmp) && !has_film {
            promised.push(Promise { member: Member::Motion, name: None, evidence: Evidence::Xmp });
        }
        let mut words = xmp.words;
        words.fill_from(&match &blocks.iptc {
            Some(Iptc::Resources(resources)) => iptc::resources(resources),
            Some(Iptc::Records(records)) => iptc::records(records),
            None => Words::default(),
        });
        let content_id = exif
            .and_then(|exif| exif.bytes(MAKER_NOTE_TAG))
            .and_then(apple_directory)
            .and_then(|notes| text(notes.bytes(CONTENT_ID_TAG)?));
        Self { embedded, promised, content_id, words }
    }
}

/// The name of a recording. Cameras that make none fill the tag with blanks or with words;
/// folders before the name are left out, they could lead anywhere.
fn sound_file(text: &str) -> Option<String> {
    let name = text.rsplit(['/', '\\']).next()?;
    let is_name = name.trim_matches('.').contains('.');
    is_name.then(|| name.to_owned())
}

fn promises_film(xmp: &Xmp) -> bool {
    xmp.is_motion_photo || xmp.micro_video_offset.is_some()
}

/// The directory in Apple's notes; its offsets count from the notes' beginning.
fn apple_directory(notes: &[u8]) -> Option<Directory<'_>> {
    let order = notes.strip_prefix(b"Apple iOS\0")?.get(2..4)?;
    Tiff::with_order(notes, order)?.directory(14)
}
