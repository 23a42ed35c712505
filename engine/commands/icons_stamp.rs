//! `signet icons stamp`: a copy of a photo with icons or portraits drawn on it, as a phone's editor
//! would.
//!
//! The photo itself is never changed. The copy is upright JPEG; of the metadata only the
//! moment it was taken goes along, so that a stamped copy gives away no place or camera.
#![expect(
    clippy::cast_precision_loss,
    reason = "sides of pictures are far below what f32 holds exactly"
)]

use std::path::{Path, PathBuf};

use super::icons_words::chosen;
use super::{CommandError, Context, failed, icons_seal, output};
use crate::base::causes::one_line;
use crate::base::files::{Readers, write_atomic};
use crate::detection::IconSet;
use crate::detection::draw::{Brush, draw};
use crate::detection::faces::portrait::FrameLooks;
use crate::detection::icon_set::{FRAME_SVG, Picture, render_text};
use crate::detection::quads::Quad;
use crate::detection::seal::{CARD_SCALE, sealed_picture};
use crate::detection::warp::Pyramid;
use crate::media::decode::SIDE_PX_MAX;
use crate::media::read::BYTES_MAX;
use crate::media::{
    CivilTime, DecodeSpec, Decoders, Frame, SandboxError, SharedBytes, read_shared,
};
use crate::preview::{encode, orient};

/// Side of the drawing that icons are sampled from: more than any stamp needs.
const BRUSH_PX: u32 = 1024;
/// Sides of the pictures of portraits that are taken.
const CARD_PX: std::ops::RangeInclusive<u32> = 128..=4096;
/// JPEG quality of the copy.
const QUALITY: u8 = 92;
/// Distance from the picture's edge and between icons, as a share of an icon's side.
const GAP: f32 = 0.15;

/// What the user typed.
#[derive(Debug, clap::Args)]
pub(super) struct Stamp {
    /// The photo: JPEG, PNG or WebP
    photo: PathBuf,
    /// Icons by name, separated by commas (`signet icons list` shows them)
    #[arg(
        long,
        required_unless_present = "card",
        value_delimiter = ',',
        value_name = "NAME[,NAME]"
    )]
    icon: Vec<String>,
    /// A portrait in the frame, as `signet people card` writes it; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "seal")]
    card: Vec<PathBuf>,
    /// The copy [default: PHOTO-ICON.jpg beside the photo]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Side of an icon in percent of the photo's long side
    #[arg(long, default_value_t = 12.0)]
    size_percent: f32,
    /// Put your own seal around each icon; the sticker is then 1.42 times as wide
    #[arg(long)]
    seal: bool,
    /// Where: top-left, top-right, bottom-left, bottom-right, centre, or X,Y in percent of width and height
    #[arg(long, default_value = "bottom-right", value_name = "PLACE")]
    at: Place,
    /// How opaque, above 0 and at most 1
    #[arg(long, default_value_t = 1.0)]
    opacity: f32,
    /// Turn clockwise by so many degrees
    #[arg(long, default_value_t = 0.0, value_name = "DEGREES", allow_negative_numbers = true)]
    turn: f32,
}

/// Where stamps go: the share of the free room left of and above them, `0.0..=1.0`, or the
/// middle of the first.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Corner { right: bool, bottom: bool },
    Middle([f32; 2]),
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let corner = |right, bottom| Ok(Self::Corner { right, bottom });
        match text {
            "top-left" => return corner(false, false),
            "top-right" => return corner(true, false),
            "bottom-left" => return corner(false, true),
            "bottom-right" => return corner(true, true),
            "centre" | "center" => return Ok(Self::Middle([0.5, 0.5])),
            _ => {}
        }
        let percent = |text: &str| {
            let value: f32 = text.trim().parse().ok()?;
            (0.0..=100.0).contains(&value).then_some(value / 100.0)
        };
        text.split_once(',')
            .and_then(|(x, y)| Some(Self::Middle([percent(x)?, percent(y)?])))
            .ok_or_else(|| {
                "neither a corner such as top-left, nor centre, nor X,Y in percent such as 50,80"
                    .into()
            })
    }
}

/// Runs it.
///
/// # Errors
/// As the message says.
pub(super) fn run(stamp: &Stamp, set: &IconSet, context: &Context) -> Result<(), CommandError> {
    run_with(&Decoders::sandboxed(), stamp, set, context)
}

fn run_with(
    decoders: &Decoders,
    stamp: &Stamp,
    set: &IconSet,
    context: &Context,
) -> Result<(), CommandError> {
    let icons = chosen(&stamp.icon, set)?;
    let cards = stamp.card.iter().map(|path| Ok((stem(path), card(decoders, path)?)));
    let cards: Vec<(String, Picture)> = cards.collect::<Result<_, CommandError>>()?;
    let names = icons.iter().map(|icon| icon.name());
    let names: Vec<&str> = names.chain(cards.iter().map(|(name, _)| name.as_str())).collect();
    check(stamp)?;
    let word = stamp.seal.then(|| icons_seal::word(context)).transpose()?;
    let out = stamp.out.clone().unwrap_or_else(|| copy_path(&stamp.photo, &names));
    refuse_overwriting(&out, &stamp.photo, context)?;
    let mut original = SharedBytes::default();
    read_shared(&stamp.photo, BYTES_MAX, &mut original).map_err(failed)?;
    let spec = DecodeSpec { cover_px: SIDE_PX_MAX, ..DecodeSpec::default() };
    let decoded = decoders
        .decoder()
        .decode(&original, spec)
        .map_err(|source| failed(InPhoto { path: stamp.photo.clone(), source }))?;
    let taken_at = decoded.metadata.taken_at;
    let mut frame = orient::upright(decoded.frame, decoded.metadata.orientation);
    let side_px = stamp.size_percent / 100.0 * frame.long_side_px() as f32;
    let sticker_px = if word.is_some() { side_px * CARD_SCALE } else { side_px };
    let quads = places(&frame, names.len(), sticker_px, stamp.at, stamp.turn.to_radians())?;
    let pictures = icons.iter().map(|icon| match word {
        Some(word) => sealed_picture(icon, word, BRUSH_PX).map_err(failed),
        None => icon.picture(BRUSH_PX).map_err(failed),
    });
    let pictures = pictures.chain(cards.iter().map(|(_, picture)| Ok(picture.clone())));
    for (picture, quad) in pictures.zip(&quads) {
        draw(&mut frame, &Brush::new(&picture?), quad, stamp.opacity);
    }
    let mut jpeg = encode::jpeg(&frame, QUALITY, PACKET).map_err(failed)?;
    if let Some(taken_at) = taken_at {
        jpeg = with_moment(&jpeg, taken_at);
    }
    write_atomic(&out, &jpeg, Readers::Usual).map_err(|error| {
        CommandError::failed(format!("`{}` cannot be written: {error}", out.display()))
    })?;
    if context.json {
        output::json(
            &serde_json::json!({ "path": out, "icons": names, "side_px": side_px.round() }),
        );
    } else {
        output::line(format_args!(
            "wrote {}: {} at {} px",
            out.display(),
            names.join(" and "),
            side_px.round()
        ));
    }
    Ok(())
}

/// A photo that cannot be decoded, by name.
#[derive(Debug, thiserror::Error)]
#[error("`{}`", path.display())]
struct InPhoto {
    path: PathBuf,
    source: SandboxError,
}

/// Says where the copy comes from, to anyone who opens it.
const PACKET: &[u8] = br#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="signet icons stamp"/></rdf:RDF></x:xmpmeta>"#;

fn check(stamp: &Stamp) -> Result<(), CommandError> {
    let usage = |text: &str| Err(CommandError::Usage(text.into()));
    if !(1.0..=100.0).contains(&stamp.size_percent) {
        return usage("--size-percent should be 1 to 100");
    }
    if !(stamp.opacity > 0.0 && stamp.opacity <= 1.0) {
        return usage("--opacity should be above 0 and at most 1");
    }
    if !stamp.turn.is_finite() {
        return usage("--turn should be a number of degrees");
    }
    Ok(())
}

/// The portrait in a file that `signet people card` wrote.
fn card(decoders: &Decoders, path: &Path) -> Result<Picture, CommandError> {
    let mut bytes = SharedBytes::default();
    read_shared(path, BYTES_MAX, &mut bytes).map_err(|error| {
        CommandError::failed(format!("`{}`: {}", path.display(), one_line(&error)))
    })?;
    let spec = DecodeSpec { cover_px: SIDE_PX_MAX, ..DecodeSpec::default() };
    let decoded = decoders
        .decoder()
        .decode(&bytes, spec)
        .map_err(|source| failed(InPhoto { path: path.to_path_buf(), source }))?;
    let frame = decoded.frame;
    let side_px = frame.width_px();
    let quad = Quad::square(0.0, 0.0, side_px as f32);
    let is_card = CARD_PX.contains(&side_px)
        && frame.height_px() == side_px
        && FrameLooks::of(&mut Pyramid::new(&frame), &quad)
            .map_err(failed)?
            .is_some_and(|looks| looks.is_frame());
    if !is_card {
        return Err(CommandError::Usage(format!(
            "`{}` is no portrait in the frame: `signet people card` writes one",
            path.display()
        )));
    }
    // Pictures are read without what is transparent; the tile is the same for all.
    let mut picture = render_text(FRAME_SVG, side_px).map_err(failed)?;
    for (pixel, colour) in picture.rgba.chunks_exact_mut(4).zip(frame.rgb().chunks_exact(3)) {
        pixel[..3].copy_from_slice(colour);
    }
    Ok(picture)
}

/// What a card is called in names of files.
fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn copy_path(photo: &Path, names: &[&str]) -> PathBuf {
    let mut name = photo.file_stem().unwrap_or_default().to_os_string();
    for icon in names {
        name.push("-");
        name.push(icon);
    }
    name.push(".jpg");
    photo.with_file_name(name)
}

/// The photo is never overwritten; another file only with `--yes`.
fn refuse_overwriting(out: &Path, photo: &Path, context: &Context) -> Result<(), CommandError> {
    let whole = |path: &Path| path.canonicalize().ok();
    if out == photo || (whole(out).is_some() && whole(out) == whole(photo)) {
        return Err(CommandError::Usage(
            "the copy would overwrite the photo: name another file with --out".into(),
        ));
    }
    if out.exists() && !context.yes {
        return Err(CommandError::Usage(format!(
            "`{}` is there already: name another with --out, or add --yes",
            out.display()
        )));
    }
    Ok(())
}

/// One quad per icon, side by side, wholly inside the picture.
fn places(
    frame: &Frame,
    count: usize,
    side_px: f32,
    place: Place,
    turn: f32,
) -> Result<Vec<Quad>, CommandError> {
    let (width, height) = (frame.width_px() as f32, frame.height_px() as f32);
    // What a turned square needs on each axis.
    let extent = side_px * (turn.sin().abs() + turn.cos().abs());
    let (gap, pitch) = (GAP * side_px, extent + GAP * side_px);
    let row = extent + pitch * (count as f32 - 1.0);
    if row + 2.0 * gap > width || extent + 2.0 * gap > height {
        return Err(CommandError::Usage(format!(
            "{count} icons of {} px do not fit into {width}x{height} px: choose a smaller --size-percent",
            side_px.round()
        )));
    }
    let half_extent = extent / 2.0;
    let first = match place {
        Place::Corner { right, bottom } => {
            let near = gap + half_extent;
            [
                if right { width - gap - row + half_extent } else { near },
                if bottom { height - near } else { near },
            ]
        }
        Place::Middle([x, y]) => [
            (x * width - (row - extent) / 2.0).clamp(half_extent, width - row + half_extent),
            (y * height).clamp(half_extent, height - half_extent),
        ],
    };
    let half = side_px / 2.0;
    let (sin, cos) = turn.sin_cos();
    Ok((0..count)
        .map(|index| {
            let middle = [first[0] + pitch * index as f32, first[1]];
            Quad([[-half, -half], [half, -half], [half, half], [-half, half]])
                .map(|[x, y]| [middle[0] + x * cos - y * sin, middle[1] + x * sin + y * cos])
        })
        .collect())
}

/// Puts an EXIF block behind the JFIF header: upright, and when the photo was taken.
fn with_moment(jpeg: &[u8], taken_at: CivilTime) -> Vec<u8> {
    const JFIF_LEN: usize = 20;
    // `2026-07-01T10:00:00` is `2026:07:01 10:00:00` in EXIF.
    let moment = taken_at.to_string().replace('-', ":").replace('T', " ");
    let mut tiff: Vec<u8> = b"MM\0*".to_vec();
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        let mut bytes = Vec::with_capacity(12);
        bytes.extend(tag.to_be_bytes());
        bytes.extend(kind.to_be_bytes());
        bytes.extend(count.to_be_bytes());
        bytes.extend(value.to_be_bytes());
        bytes
    };
    // First folder at 8: orientation (SHORT, left-aligned in its four bytes) and a pointer
    // to the EXIF folder at 38; that holds DateTimeOriginal, whose text is at 56.
    tiff.extend(8_u32.to_be_bytes());
    tiff.extend(2_u16.to_be_bytes());
    tiff.extend(entry(0x0112, 3, 1, 1 << 16));
    tiff.extend(entry(0x8769, 4, 1, 38));
    tiff.extend(0_u32.to_be_bytes());
    tiff.extend(1_u16.to_be_bytes());
    tiff.extend(entry(0x9003, 2, 20, 56));
    tiff.extend(0_u32.to_be_bytes());
    tiff.extend(moment.as_bytes().iter().copied().chain(std::iter::repeat(0)).take(20));
    let length = u16::try_from(2 + 6 + tiff.len()).unwrap_or(u16::MAX);
    let (head, tail) = jpeg.split_at(JFIF_LEN.min(jpeg.len()));
    [head, &[0xFF, 0xE1], &length.to_be_bytes(), b"Exif\0\0", &tiff, tail].concat()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::icons_export::png;
    use super::*;
    use crate::detection::faces::align::PLACES;
    use crate::detection::faces::portrait_card::portrait_card;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        stamp: Stamp,
    }

    fn typed(photo: &Path, rest: &[&str]) -> Stamp {
        let mut words = vec!["stamp".into(), photo.as_os_str().to_owned()];
        words.extend(rest.iter().map(Into::into));
        Typed::parse_from(words).stamp
    }

    fn run(stamp: &Stamp, set: &IconSet, context: &Context) -> Result<(), CommandError> {
        run_with(&Decoders::in_this_process(), stamp, set, context)
    }

    fn context() -> Context {
        Context { home: PathBuf::new(), json: true, yes: false }
    }

    fn photo(folder: &Path) -> PathBuf {
        let frame = Frame::new(400, 300, vec![90; 400 * 300 * 3]).expect("a frame");
        let jpeg = encode::jpeg(&frame, 90, b"").expect("a JPEG");
        let taken = CivilTime::from_exif(b"2026:07:01 10:20:30").expect("a moment");
        let path = folder.join("beach.jpg");
        std::fs::write(&path, with_moment(&jpeg, taken)).expect("a file");
        path
    }

    #[test]
    fn copy_shows_the_icon_keeps_the_moment_and_leaves_the_photo_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = photo(folder.path());
        let before = std::fs::read(&path).expect("the photo");
        let set = IconSet::house().expect("the built-in icons");
        let stamp = typed(&path, &["--icon", "share", "--at", "top-left", "--size-percent", "25"]);
        run(&stamp, &set, &context()).expect("a copy");
        assert_eq!(std::fs::read(&path).expect("the photo"), before);
        let copy = std::fs::read(folder.path().join("beach-share.jpg")).expect("the copy");
        let decoded = crate::media::decode(&copy, DecodeSpec::default()).expect("a JPEG");
        assert_eq!(
            decoded.metadata.taken_at.map(|t| t.to_string()).as_deref(),
            Some("2026-07-01T10:20:30")
        );
        let pixel = |x: usize, y: usize| decoded.frame.rgb()[3 * (y * 400 + x)];
        // Icon of 100 px, 15 px from the edges: ring at 10 px inside, paper beyond.
        assert!(pixel(65, 25) < 70 && pixel(65, 18) > 200 && pixel(300, 200).abs_diff(90) < 4);
    }

    #[test]
    fn portrait_is_stamped_with_the_round_corners_of_its_tile() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = photo(folder.path());
        // Any five points will do: a red picture with nobody on it.
        let red = Frame::new(112, 112, [200, 20, 20].repeat(112 * 112)).expect("a frame");
        let drawn = portrait_card(&mut Pyramid::new(&red), &PLACES).expect("a card");
        let drawn = drawn.expect("points apart");
        let file = folder.path().join("Anna.png");
        std::fs::write(&file, png(&drawn.rgba, 1024).expect("a PNG")).expect("a file");
        let set = IconSet::house().expect("the built-in icons");
        let text = file.to_string_lossy().into_owned();
        let words = ["--card", &text, "--icon", "mug", "--at", "top-left", "--size-percent", "25"];
        run(&typed(&path, &words), &set, &context()).expect("a copy");
        let copy = std::fs::read(folder.path().join("beach-mug-Anna.jpg")).expect("the copy");
        let copy = crate::media::decode(&copy, DecodeSpec::default()).expect("a JPEG").frame;
        let pixel = |x: usize, y: usize| {
            let at = 3 * (y * 400 + x);
            [copy.rgb()[at], copy.rgb()[at + 1]]
        };
        // The second tile of 100 px begins at 130, 15; its corner is the photo's.
        let ([red, green], [corner, _], [ring, _]) =
            (pixel(180, 65), pixel(131, 16), pixel(140, 65));
        assert!(red > 150 && green < 60, "{red} {green}");
        assert!(corner.abs_diff(90) < 25 && ring < 70, "{corner} {ring}");
        for (words, expected) in [
            (&["--card", &*path.to_string_lossy()][..], "signet people card"),
            (&["--card", "/nowhere.png"], "nowhere"),
        ] {
            let error = run(&typed(&path, words), &set, &context()).expect_err("refused");
            let error = one_line(&error);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn photo_or_other_file_is_not_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = photo(folder.path());
        let set = IconSet::house().expect("the built-in icons");
        let text = path.to_string_lossy().into_owned();
        let refused = run(
            &typed(&path, &["--icon", "share", "--out", &text]),
            &set,
            &Context { yes: true, ..context() },
        );
        assert!(matches!(refused, Err(CommandError::Usage(_))));
        let other = folder.path().join("other.jpg");
        std::fs::write(&other, b"x").expect("a file");
        let stamp = typed(&path, &["--icon", "share", "--out", &other.to_string_lossy()]);
        assert!(matches!(run(&stamp, &set, &context()), Err(CommandError::Usage(_))));
        run(&stamp, &set, &Context { yes: true, ..context() }).expect("a copy");
    }

    #[test]
    fn wrong_wishes_are_refused_with_what_would_be_right() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = photo(folder.path());
        let set = IconSet::house().expect("the built-in icons");
        for (words, expected) in [
            (&["--icon", "nonsense"][..], "signet icons list"),
            (&["--icon", "share, print10x15"][..], "did you mean `print-10x15`?"),
            (&["--icon", "share", "--size-percent", "0"], "1 to 100"),
            (&["--icon", "share", "--opacity", "0"], "above 0"),
            (&["--icon", "share,canvas", "--size-percent", "60"], "do not fit"),
        ] {
            let error = run(&typed(&path, words), &set, &context()).expect_err("refused");
            assert!(
                matches!(&error, CommandError::Usage(text) if text.contains(expected)),
                "{error}"
            );
        }
        assert!("7,x".parse::<Place>().is_err() && "7,101".parse::<Place>().is_err());
        assert_eq!("25, 50".parse(), Ok(Place::Middle([0.25, 0.5])));
    }

    #[test]
    fn stamps_lie_inside_the_picture_at_every_corner_and_turn() {
        let frame = Frame::new(400, 300, vec![0; 400 * 300 * 3]).expect("a frame");
        for place in
            ["top-left", "top-right", "bottom-left", "bottom-right", "centre", "0,0", "100,100"]
        {
            for turn in [0.0, 0.5, 2.0, -0.8] {
                let place = place.parse().expect("a place");
                for quad in places(&frame, 2, 60.0, place, turn).expect("room") {
                    let bounds = quad.bounds();
                    assert!(
                        bounds[0] >= -0.01
                            && bounds[1] >= -0.01
                            && bounds[2] <= 400.01
                            && bounds[3] <= 300.01,
                        "{place:?} {turn} {bounds:?}"
                    );
                    assert!((quad.side_px() - 60.0).abs() < 0.1);
                }
            }
        }
    }
}
