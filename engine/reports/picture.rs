//! Small pictures of photos for their owner's reports.
//!
//! In:  previews, which this computer made itself. Out: JPEGs of at most [`SIDE_PX`], upright,
//! without metadata. A preview that is gone or damaged gives no picture; the report says so.

use std::collections::BTreeMap;

use super::Report;
use crate::base::ids::ContentHash;
use crate::media::{DecodeSpec, decode};
use crate::preview::Renderer;
use crate::preview::encode::bare_jpeg;

/// Longest side of a picture.
pub const SIDE_PX: u32 = 160;

const QUALITY: u8 = 75;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub jpeg: Vec<u8>,
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
}

/// Pictures by photo version.
pub type Pictures = BTreeMap<ContentHash, Picture>;

/// Pictures of the photos of a report, the first `count_max` of them.
///
/// - `preview`: the bytes of a photo's preview, where there is one
pub fn of_report(
    report: &Report,
    count_max: usize,
    preview: impl Fn(&ContentHash) -> Option<Vec<u8>>,
) -> Pictures {
    let mut renderer = Renderer::default();
    let mut pictures = Pictures::new();
    for access in &report.accesses {
        if pictures.len() < count_max && !pictures.contains_key(&access.photo) {
            let picture = preview(&access.photo).and_then(|bytes| small(&bytes, &mut renderer));
            pictures.extend(picture.map(|picture| (access.photo, picture)));
        }
    }
    pictures
}

fn small(preview: &[u8], renderer: &mut Renderer) -> Option<Picture> {
    let decoded = decode(preview, DecodeSpec::exactly(SIDE_PX)).ok()?;
    let frame = renderer.upright(&decoded, SIDE_PX).ok()?;
    let (width_px, height_px) = (frame.width_px(), frame.height_px());
    Some(Picture { jpeg: bare_jpeg(&frame, QUALITY).ok()?, width_px, height_px })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::facts::tests::{report, rows};
    use super::*;
    use crate::media::Frame;

    /// A grey preview.
    pub(in crate::reports) fn preview() -> Vec<u8> {
        let frame = Frame::new(640, 480, vec![120; 640 * 480 * 3]).expect("a frame");
        bare_jpeg(&frame, 80).expect("encodes")
    }

    #[test]
    fn picture_is_small_and_of_photos_that_have_a_preview() {
        let report = report(&rows());
        let gone = report.accesses[1].photo;
        let all = of_report(&report, 10, |photo| (*photo != gone).then(preview));
        assert_eq!(all.len(), 2);
        let picture = &all[&report.accesses[0].photo];
        assert_eq!((picture.width_px, picture.height_px), (160, 120));
        assert!(picture.jpeg.starts_with(&[0xFF, 0xD8]) && picture.jpeg.len() < 4000);
        assert_eq!(of_report(&report, 1, |_photo| Some(preview())).len(), 1);
        assert!(of_report(&report, 9, |_photo| Some(b"damaged".to_vec())).is_empty());
    }
}
