//! RAW files built after their makers' structure; exiftool, where it is here, has to find the
//! same preview in them.

use std::process::Command;
use std::sync::LazyLock;

use proptest::prelude::*;
use turbojpeg::{Compressor, Image, PixelFormat};

use super::super::bmff::tests::wrap;
use super::super::ifd::tests::{Builder, Value};
use super::*;
use crate::media::{CivilTime, Orientation, decode as decode_any};

/// A JPEG of a picture with detail.
fn jpeg(width: usize, height: usize) -> Vec<u8> {
    let image = Image::mandelbrot(width, height, PixelFormat::RGB);
    Compressor::new().expect("a compressor").compress_to_vec(image.as_deref()).expect("compresses")
}

/// The same with a header that says lossless, as sensor data has.
fn sensor_data() -> Vec<u8> {
    let mut bytes = jpeg(1600, 1200);
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).expect("a frame header");
    bytes[frame + 1] = 0xC3;
    bytes
}

fn long(number: usize) -> Value {
    Value::Longs(vec![u32::try_from(number).expect("short")])
}

const SENSOR: (u16, Value) = (0x0106, Value::Short(32803));

fn shot(builder: &mut Builder, more: &[(u16, Value)]) -> (u16, Value) {
    let mut entries = vec![(0x9003, Value::Text("2026:07:01 10:00:05"))];
    entries.extend_from_slice(more);
    entries.push((0xA431, Value::Text("S123")));
    (EXIF, Value::Longs(vec![builder.directory(&entries, 0)]))
}

/// IFD0 with a thumbnail, the preview and the sensor data in sub-directories.
fn nef() -> (Vec<u8>, Vec<u8>) {
    let (mut builder, preview) = (Builder::new(), jpeg(1200, 800));
    let at = builder.put(&preview);
    let small = builder.directory(
        &[
            (COMPRESSION, Value::Short(6)),
            (JPEG_OFFSET, Value::Longs(vec![at])),
            (JPEG_BYTES, long(preview.len())),
        ],
        0,
    );
    let data = builder.put(&sensor_data());
    let sensor = builder.directory(
        &[
            (IMAGE_WIDTH, long(6016)),
            (IMAGE_LENGTH, long(4016)),
            (COMPRESSION, Value::Short(34713)),
            SENSOR,
            (STRIP_OFFSETS, Value::Longs(vec![data])),
            (STRIP_BYTE_COUNTS, long(100)),
        ],
        0,
    );
    let exif = shot(&mut builder, &[]);
    let first = builder.directory(
        &[
            (0x00FE, long(1)),
            (IMAGE_WIDTH, long(160)),
            (IMAGE_LENGTH, long(120)),
            (0x010F, Value::Text("NIKON CORPORATION")),
            (0x0110, Value::Text("NIKON D750")),
            (0x0112, Value::Short(8)),
            (SUB_DIRECTORIES, Value::Longs(vec![small, sensor])),
            exif,
        ],
        0,
    );
    (builder.finish(first), preview)
}

/// The preview as the strip of IFD0, lossless sensor data in the last of four directories.
fn cr2() -> (Vec<u8>, Vec<u8>) {
    let (mut builder, preview) = (Builder::new(), jpeg(1200, 800));
    builder.put(b"CR\x02\0\0\0\0\0");
    let (at, sensor) = (builder.put(&preview), sensor_data());
    let data = builder.put(&sensor);
    let last = builder.directory(
        &[
            (COMPRESSION, Value::Short(6)),
            (STRIP_OFFSETS, Value::Longs(vec![data])),
            (STRIP_BYTE_COUNTS, long(sensor.len())),
        ],
        0,
    );
    let exif = shot(
        &mut builder,
        &[(PIXEL_X_DIMENSION, Value::Short(5472)), (PIXEL_Y_DIMENSION, Value::Short(3648))],
    );
    let first = builder.directory(
        &[
            (IMAGE_WIDTH, Value::Short(1200)),
            (IMAGE_LENGTH, Value::Short(800)),
            (COMPRESSION, Value::Short(6)),
            (0x010F, Value::Text("Canon")),
            (0x0110, Value::Text("Canon EOS 6D")),
            (STRIP_OFFSETS, Value::Longs(vec![at])),
            (0x0112, Value::Short(6)),
            (STRIP_BYTE_COUNTS, long(preview.len())),
            exif,
        ],
        last,
    );
    (builder.finish(first), preview)
}

/// The preview named by IFD0 itself, a thumbnail by the next.
fn arw() -> (Vec<u8>, Vec<u8>) {
    let (mut builder, preview, thumbnail) = (Builder::new(), jpeg(1616, 1080), jpeg(160, 120));
    let (at, small) = (builder.put(&preview), builder.put(&thumbnail));
    let sensor = builder.directory(
        &[
            (IMAGE_WIDTH, long(6048)),
            (IMAGE_LENGTH, long(4024)),
            (COMPRESSION, Value::Short(32767)),
            SENSOR,
        ],
        0,
    );
    let second = builder.directory(
        &[
            (COMPRESSION, Value::Short(6)),
            (JPEG_OFFSET, Value::Longs(vec![small])),
            (JPEG_BYTES, long(thumbnail.len())),
        ],
        0,
    );
    let exif = shot(&mut builder, &[]);
    let first = builder.directory(
        &[
            (COMPRESSION, Value::Short(6)),
            (0x010F, Value::Text("SONY")),
            (0x0110, Value::Text("ILCE-7M3")),
            (0x0112, Value::Short(3)),
            (SUB_DIRECTORIES, Value::Longs(vec![sensor])),
            (JPEG_OFFSET, Value::Longs(vec![at])),
            (JPEG_BYTES, long(preview.len())),
            exif,
        ],
        second,
    );
    (builder.finish(first), preview)
}

/// The preview as the strip of a sub-directory, sensor data in lossless JPEG beside it.
fn dng() -> (Vec<u8>, Vec<u8>) {
    let (mut builder, preview, data) = (Builder::new(), jpeg(1024, 683), sensor_data());
    let (at, sensor_at) = (builder.put(&preview), builder.put(&data));
    let small = builder.directory(
        &[
            (0x00FE, long(1)),
            (IMAGE_WIDTH, long(1024)),
            (IMAGE_LENGTH, long(683)),
            (COMPRESSION, Value::Short(7)),
            (0x0106, Value::Short(6)),
            (STRIP_OFFSETS, Value::Longs(vec![at])),
            (STRIP_BYTE_COUNTS, long(preview.len())),
        ],
        0,
    );
    let sensor = builder.directory(
        &[
            (IMAGE_WIDTH, long(6048)),
            (IMAGE_LENGTH, long(4024)),
            (COMPRESSION, Value::Short(7)),
            SENSOR,
            (STRIP_OFFSETS, Value::Longs(vec![sensor_at])),
            (STRIP_BYTE_COUNTS, long(data.len())),
            (DEFAULT_CROP_SIZE, Value::Longs(vec![6000, 4000])),
        ],
        0,
    );
    let exif = shot(&mut builder, &[]);
    let first = builder.directory(
        &[
            (0x010F, Value::Text("Leica Camera AG")),
            (0x0110, Value::Text("LEICA Q2")),
            (0x0112, Value::Short(1)),
            (SUB_DIRECTORIES, Value::Longs(vec![sensor, small])),
            exif,
            (0xC612, Value::Raw(vec![1, 4, 0, 0])),
        ],
        0,
    );
    (builder.finish(first), preview)
}

/// A mark of its own; the preview is where the maker's note says, counted from the note.
fn orf() -> (Vec<u8>, Vec<u8>) {
    let (mut builder, preview) = (Builder::new(), jpeg(1600, 1200));
    let preview_at = builder.put(&preview);
    // The note: its offsets count from itself, so it is built apart and put behind.
    let mut note = Builder { bytes: b"OLYMPUS\0II\x03\0".to_vec() };
    let settings_at = u32::try_from(12 + 2 + 12 + 4).expect("short");
    let first = note.directory(&[(0x2020, Value::Longs(vec![settings_at]))], 0);
    assert_eq!(first, 12);
    // Filled in below, when it is known where the note lies.
    note.directory(&[(0x0100, long(1)), (0x0101, long(0)), (0x0102, long(preview.len()))], 0);
    let note_at = builder.put(&note.bytes);
    let exif = builder.directory(
        &[(0x9003, Value::Text("2026:07:01 10:00:05")), (0xA431, Value::Text("S123"))],
        0,
    );
    // The entry of the note goes to where the note is.
    let mut list = builder.bytes.split_off(exif as usize);
    list[0] += 1;
    let entry = [
        MAKER_NOTE.to_le_bytes().as_slice(),
        &7_u16.to_le_bytes(),
        &u32::try_from(note.bytes.len()).expect("short").to_le_bytes(),
        &note_at.to_le_bytes(),
    ]
    .concat();
    list.splice(14..14, entry);
    builder.bytes.extend_from_slice(&list);
    // Counted from the note, the preview before it has a negative offset: copy it behind.
    let behind = builder.put(&preview);
    let place = note_at as usize + settings_at as usize + 2 + 12 + 8;
    builder.bytes[place..place + 4].copy_from_slice(&(behind - note_at).to_le_bytes());
    builder.bytes[preview_at as usize..][..preview.len()].fill(0);
    let first = builder.directory(
        &[
            (IMAGE_WIDTH, long(4640)),
            (IMAGE_LENGTH, long(3472)),
            (COMPRESSION, Value::Short(1)),
            (0x010F, Value::Text("OLYMPUS CORPORATION")),
            (0x0110, Value::Text("E-M1")),
            (0x0112, Value::Short(6)),
            (EXIF, Value::Longs(vec![exif])),
        ],
        0,
    );
    let mut bytes = builder.finish(first);
    bytes[2..4].copy_from_slice(b"RO");
    (bytes, preview)
}

/// A JPEG with an EXIF block of its own.
fn with_exif(jpeg: &[u8], block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len() + 8).expect("short").to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, b"Exif\0\0", block, &jpeg[2..]].concat()
}

fn raf() -> (Vec<u8>, Vec<u8>) {
    let mut exif = Builder::new();
    let shot = shot(&mut exif, &[]);
    let first = exif.directory(
        &[
            (0x010F, Value::Text("FUJIFILM")),
            (0x0110, Value::Text("X-T3")),
            (0x0112, Value::Short(8)),
            shot,
        ],
        0,
    );
    let preview = with_exif(&jpeg(1920, 1280), &exif.finish(first));
    let sensor = b"\0\0\0\x02\x01\x00\0\x04\x10\x5A\x18\x80\x01\x11\0\x04\x10\x40\x18\x60".to_vec();
    let mut bytes = vec![0; 0x94];
    bytes[..16].copy_from_slice(b"FUJIFILMCCD-RAW ");
    bytes[0x10..0x14].copy_from_slice(b"0201");
    let mut at = bytes.len();
    for (place, part) in [(0x54, preview.len()), (0x5C, sensor.len()), (0x64, 64)] {
        bytes[place..place + 4].copy_from_slice(&u32::try_from(at).expect("short").to_be_bytes());
        bytes[place + 4..place + 8]
            .copy_from_slice(&u32::try_from(part).expect("short").to_be_bytes());
        at += part;
    }
    bytes.extend_from_slice(&preview);
    bytes.extend_from_slice(&sensor);
    bytes.extend_from_slice(&[7; 64]);
    (bytes, preview)
}

fn cr3() -> (Vec<u8>, Vec<u8>) {
    let (large, small) = (jpeg(1800, 1200), jpeg(1620, 1080));
    let mut picture = Builder::new();
    let first = picture.directory(
        &[
            (IMAGE_WIDTH, Value::Short(6000)),
            (IMAGE_LENGTH, Value::Short(4000)),
            (0x010F, Value::Text("Canon")),
            (0x0110, Value::Text("Canon EOS R")),
            (0x0112, Value::Short(8)),
        ],
        0,
    );
    let picture = picture.finish(first);
    let mut shot = Builder::new();
    let first = shot.directory(
        &[(0x9003, Value::Text("2026:07:01 10:00:05")), (0xA431, Value::Text("S123"))],
        0,
    );
    let shot = shot.finish(first);
    let canon = [
        b"\x85\xC0\xB6\x87\x82\x0F\x11\xE0\x81\x11\xF4\xCE\x46\x2B\x6A\x48".as_slice(),
        &wrap(b"CMT1", &picture),
        &wrap(b"CMT2", &shot),
    ]
    .concat();
    let large_bytes = u32::try_from(large.len()).expect("short").to_be_bytes();
    let table = |offset: u64| {
        let sizes = [[0; 4], large_bytes, [0, 0, 0, 1]].concat();
        let places = [[0, 0, 0, 0, 0, 0, 0, 1].as_slice(), &offset.to_be_bytes()].concat();
        let table = wrap(b"stbl", &[wrap(b"stsz", &sizes), wrap(b"co64", &places)].concat());
        wrap(b"trak", &wrap(b"mdia", &wrap(b"minf", &table)))
    };
    let head = |offset| {
        let moov = wrap(b"moov", &[wrap(b"uuid", &canon), table(offset)].concat());
        let numbers = [
            [0, 0, 0, 0, 0, 1, 0x06, 0x54, 0x04, 0x38, 0, 1].as_slice(),
            &u32::try_from(small.len()).expect("short").to_be_bytes(),
        ]
        .concat();
        let preview = [
            b"\xEA\xF4\x2B\x5E\x1C\x98\x4B\x88\xB9\xFB\xB7\xDC\x40\x6E\x4D\x16".as_slice(),
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &wrap(b"PRVW", &[numbers.as_slice(), &small].concat()),
        ]
        .concat();
        [wrap(b"ftyp", b"crx \0\0\0\x01crx isom"), moov, wrap(b"uuid", &preview)].concat()
    };
    let offset = head(0).len() as u64 + 8;
    ([head(offset), wrap(b"mdat", &large)].concat(), large)
}

/// All of them: name, bytes, the preview inside, and what is to be reported.
type Sample = (&'static str, (Vec<u8>, Vec<u8>), MediaType, (u32, u32), Orientation);

/// Made once: compressing the pictures takes most of the time.
static SAMPLES: LazyLock<[Sample; 7]> = LazyLock::new(|| {
    use Orientation::{Rotate90, Rotate180, Rotate270, Upright};
    [
        ("a.nef", nef(), MediaType::Nef, (4016, 6016), Rotate270),
        ("a.cr2", cr2(), MediaType::Cr2, (3648, 5472), Rotate90),
        ("a.arw", arw(), MediaType::Arw, (6048, 4024), Rotate180),
        ("a.dng", dng(), MediaType::Dng, (6000, 4000), Upright),
        ("a.orf", orf(), MediaType::Orf, (3472, 4640), Rotate90),
        ("a.raf", raf(), MediaType::Raf, (4160, 6240), Rotate270),
        ("a.cr3", cr3(), MediaType::Cr3, (4000, 6000), Rotate270),
    ]
});

#[test]
fn preview_and_metadata_of_every_format_are_read() {
    for (name, (bytes, preview), media_type, size, orientation) in &*SAMPLES {
        let photo = decode_any(bytes, DecodeSpec::default())
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(photo.media_type, *media_type, "{name}");
        assert_eq!((photo.width_px, photo.height_px), *size, "{name}");
        assert_eq!(photo.metadata.orientation, *orientation, "{name}");
        let taken_at = photo.metadata.taken_at.map(|moment| moment.to_string());
        assert_eq!(taken_at.as_deref(), Some("2026-07-01T10:00:05"), "{name}");
        assert_eq!(photo.metadata.camera_serial.as_deref(), Some("S123"), "{name}");
        assert!(photo.metadata.camera_model.is_some(), "{name}");
        let alone = decode_any(preview, DecodeSpec::default()).expect("decodes");
        assert_eq!(photo.frame, alone.frame, "{name}");
        assert_eq!(photo.metadata.taken_at.map(CivilTime::year), Some(2026), "{name}");
    }
}

#[test]
fn exiftool_finds_the_same_preview() {
    if Command::new("exiftool").arg("-ver").output().is_err() {
        println!("skipped: no exiftool");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (name, (bytes, _), media_type, ..) in &*SAMPLES {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("writes");
        let found = ["-JpgFromRaw", "-PreviewImage"].map(|tag| {
            Command::new("exiftool").args(["-b", tag]).arg(&path).output().expect("runs").stdout
        });
        let ours = Contents::read(bytes, *media_type).expect("reads").previews;
        let is_same = found.iter().any(|found| ours.contains(&found.as_slice()));
        assert!(is_same, "{name}: {:?} bytes", found.each_ref().map(Vec::len));
    }
}

#[test]
fn file_without_a_preview_of_use_says_so() {
    let mut builder = Builder::new();
    let thumbnail = jpeg(160, 120);
    let at = builder.put(&thumbnail);
    let first = builder.directory(
        &[
            (0x010F, Value::Text("SONY")),
            SENSOR,
            (JPEG_OFFSET, Value::Longs(vec![at])),
            (JPEG_BYTES, long(thumbnail.len())),
        ],
        0,
    );
    let error = decode_any(&builder.finish(first), DecodeSpec::default()).expect_err("no preview");
    assert!(matches!(error, DecodeError::NoPreview), "{error:?}");
}

#[test]
fn copy_that_is_not_finished_ends_early_although_the_preview_is_whole() {
    for (name, (bytes, _), ..) in &*SAMPLES {
        // The preview lies in the first part, the directories or the sensor data behind it.
        for end in [bytes.len() / 2, bytes.len() - 60] {
            let error = decode_any(&bytes[..end], DecodeSpec::default()).expect_err("cut");
            assert!(matches!(error, DecodeError::EndsEarly), "{name} cut at {end}: {error:?}");
        }
    }
}

#[test]
fn sizes_of_another_shape_are_not_reported() {
    assert!(is_same_shape((6000, 4000), (1620, 1080)));
    assert!(is_same_shape((6048, 4024), (1616, 1080)));
    assert!(!is_same_shape((4000, 6000), (1620, 1080)));
    assert!(!is_same_shape((6000, 3376), (1620, 1080)));
    assert!(!is_same_shape((0, 0), (1620, 1080)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_changed_byte_is_survived(which in 0_usize..7, changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..6)) {
        let mut bytes = SAMPLES[which].1.0.clone();
        for (at, value) in changes {
            // Structures lie at both ends.
            let at = usize::from(at) % 1200;
            let at = if at < 600 { at } else { bytes.len() - 1 - (at - 600) };
            bytes[at] = value;
        }
        let _either = decode_any(&bytes, DecodeSpec { cover_px: 64, pixels_max: 4_000_000, ..DecodeSpec::default() });
    }
}
