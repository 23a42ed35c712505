//! What it costs to make a preview from decoded pixels.

#![expect(clippy::expect_used, reason = "a bench stops at the first wrong answer")]

use std::borrow::Cow;

mod camera;
mod common;

use camera::camera_12mp;
use common::bench;
use signet::media::resize::{Filter, Resampler};
use signet::media::{
    DecodeSpec, Decoded, Frame, MediaType, Metadata, Orientation, decode, read_original,
};
use signet::preview::{Imprint, PreviewSpec, Renderer, encode, orient};

fn main() {
    let imprint = Imprint {
        owner_address: "mailto:owner@example.org".to_owned(),
        owner_name: "Owner".to_owned(),
        photo_id: "0123456789".to_owned(),
    };
    let mut renderer = Renderer::default();
    let photo = stripes(800, 600);
    let spec = PreviewSpec { long_side_px: 400, ..PreviewSpec::default() };
    let preview = renderer.render(&photo, spec, &imprint).expect("renders");
    assert_eq!((preview.frame.width_px(), preview.frame.height_px()), (300, 400));
    bench("preview/render/800x600-300x400/jpeg", || renderer.render(&photo, spec, &imprint));

    let large = stripes(2016, 1512);
    let mut resampler = Resampler::default();
    for filter in [Filter::Lanczos3, Filter::CatmullRom, Filter::Hamming, Filter::Bilinear] {
        for (width_px, height_px) in [(2016, 1512), (1512, 1134)] {
            let source = stripes(width_px, height_px).frame;
            bench(
                &format!("preview/resize/{width_px}x{height_px}-1024x768/{filter:?}")
                    .to_lowercase(),
                || resampler.shrink(Cow::Borrowed(&source), 1024, filter),
            );
        }
    }
    let small =
        resampler.shrink(Cow::Owned(large.frame), 1024, Filter::CatmullRom).expect("shrinks");
    for orientation in [Orientation::Rotate180, Orientation::Rotate90] {
        bench(&format!("preview/orient/1024x768/{orientation:?}").to_lowercase(), || {
            orient::upright_of(Cow::Borrowed(&*small), orientation)
        });
    }

    let paths = camera_12mp();
    if paths.is_empty() {
        return;
    }
    let photos: Vec<Decoded> = paths
        .iter()
        .map(|path| {
            let original = read_original(path, u64::MAX).expect("reads");
            decode(&original.bytes, DecodeSpec::default()).expect("decodes")
        })
        .collect();
    let mut at = 0;
    let mut next = || {
        at = (at + 1) % photos.len();
        at
    };
    bench("preview/upright/12mp/resize-turn", || renderer.upright(&photos[next()], 1024));
    let frames: Vec<Frame> =
        photos.iter().map(|photo| renderer.upright(photo, 1024).expect("renders")).collect();
    bench("preview/encode/12mp-1024/q80", || encode::jpeg(&frames[next()], 80, b""));
    bench("preview/encode/12mp-1024/webp-q80", || encode::webp(&frames[next()], 80, b""));
    bench("preview/render/12mp-1024/all", || {
        renderer.render(&photos[next()], PreviewSpec::default(), &imprint)
    });
    bench("preview/all/12mp-1024/read-decode-render", || {
        let original = read_original(&paths[next()], u64::MAX).expect("reads");
        let hash = signet::base::ids::ContentHash::of(&original.bytes);
        let photo = decode(&original.bytes, DecodeSpec::default()).expect("decodes");
        (hash, renderer.render(&photo, PreviewSpec::default(), &imprint))
    });
}

/// A lying picture with edges of all widths.
fn stripes(width_px: u32, height_px: u32) -> Decoded {
    let rgb = (0..height_px)
        .flat_map(|y| {
            (0..width_px).flat_map(move |x| {
                if (x * x / 700 + y / 40).is_multiple_of(2) {
                    [20, 60, 200]
                } else {
                    [240, 230, 90]
                }
            })
        })
        .collect();
    Decoded {
        frame: Frame::new(width_px, height_px, rgb).expect("a frame"),
        width_px: height_px,
        height_px: width_px,
        media_type: MediaType::Jpeg,
        metadata: Metadata { orientation: Orientation::Rotate90, ..Metadata::default() },
        extras: signet::media::Extras::default(),
    }
}
