//! What travels with a photo: our readers against exiftool, and the commands that tell.
//!
//! Files are made here, part by part as cameras and phones write them, so that what is
//! where is known without asking a reader. Exiftool is the second opinion.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::ffi::OsStr;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use signet::base::member::Member;
use signet::media::companion::{InspectError, belongs, inspect};
use signet::media::{CompanionFacts, Embedded, Evidence, Extras, Frame, Link, Words};
use signet::preview::encode;

use crate::common::{Home, shared};

const CONTENT_ID: &str = "570F1469-09C7-4E50-9875-05F21D5BD166";

/// A box of a film or HEIC file.
fn wrap(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).expect("short").to_be_bytes();
    [&size, kind.as_slice(), content].concat()
}

/// A film of two and a half seconds, with its index behind the pictures.
fn film(brand: &[u8; 4], content_id: Option<&str>) -> Vec<u8> {
    let header: Vec<u8> =
        [0, 0, 0, 600, 1500].into_iter().flat_map(u32::to_be_bytes).chain([0; 80]).collect();
    let mut index = wrap(b"mvhd", &header);
    if let Some(id) = content_id {
        let key = b"com.apple.quicktime.content.identifier";
        let keys = [&[0; 7], [1].as_slice(), &wrap(b"mdta", key)].concat();
        let data = [&[0, 0, 0, 1, 0, 0, 0, 0], id.as_bytes()].concat();
        let handler = [&[0; 8], b"mdta".as_slice(), &[0; 13]].concat();
        let meta = [
            wrap(b"hdlr", &handler),
            wrap(b"keys", &keys),
            wrap(b"ilst", &wrap(&[0, 0, 0, 1], &wrap(b"data", &data))),
        ];
        index.extend(wrap(b"meta", &meta.concat()));
    }
    let start = [brand.as_slice(), &[0; 4], brand].concat();
    [wrap(b"ftyp", &start), wrap(b"mdat", &[7; 300]), wrap(b"moov", &index)].concat()
}

/// An XMP packet: attributes and elements of its one description.
fn packet(attributes: &str, elements: &str) -> String {
    format!(
        r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
        xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
        xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
        xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
        xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"
        xmlns:Container="http://ns.google.com/photos/1.0/container/"
        xmlns:Item="http://ns.google.com/photos/1.0/container/item/"
        {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>"#
    )
}

/// A motion photo's container: semantic and length of what follows the primary picture.
fn container(primary_padding: usize, items: &[(&str, &str, usize)]) -> String {
    let item = |media_type: &str, semantic: &str, rest: &str| {
        format!(
            r#"<rdf:li rdf:parseType="Resource"><Container:Item Item:Mime="{media_type}"
            Item:Semantic="{semantic}" {rest}/></rdf:li>"#
        )
    };
    let primary = item("image/jpeg", "Primary", &format!(r#"Item:Padding="{primary_padding}""#));
    let others = items.iter().map(|(media_type, semantic, length)| {
        item(media_type, semantic, &format!(r#"Item:Length="{length}""#))
    });
    let others: String = others.collect();
    let list =
        format!("<Container:Directory><rdf:Seq>{primary}{others}</rdf:Seq></Container:Directory>");
    packet(r#"GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1""#, &list)
}

/// A real JPEG with a packet, and with further segments before its tables.
fn jpeg(xmp: &str, segments: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let frame = Frame::new(16, 16, vec![90; 16 * 16 * 3]).expect("a frame");
    let picture = encode::jpeg(&frame, 90, xmp.as_bytes()).expect("a JPEG");
    let (start, rest) = picture.split_at(2);
    let segment = |(marker, content): &(u8, Vec<u8>)| {
        let size = u16::try_from(content.len() + 2).expect("short").to_be_bytes();
        [&[0xFF, *marker], size.as_slice(), content].concat()
    };
    [start, &segments.iter().flat_map(segment).collect::<Vec<u8>>(), rest].concat()
}

/// Samsung's trailer.
fn trailer(blocks: &[(u16, &str, &[u8])]) -> Vec<u8> {
    let (mut body, mut entries) = (Vec::new(), Vec::new());
    for (kind, name, data) in blocks {
        let begin = body.len();
        body.extend([0, 0]);
        body.extend(kind.to_le_bytes());
        body.extend(u32::try_from(name.len()).expect("short").to_le_bytes());
        body.extend(name.as_bytes());
        body.extend(*data);
        entries.push((*kind, begin, body.len() - begin));
    }
    let number = |value: usize| u32::try_from(value).expect("short").to_le_bytes();
    let mut directory = [b"SEFH".as_slice(), &number(106), &number(entries.len())].concat();
    for (kind, begin, size) in entries {
        directory.extend([0, 0]);
        directory.extend(kind.to_le_bytes());
        directory.extend(number(body.len() - begin));
        directory.extend(number(size));
    }
    [body, directory.clone(), number(directory.len()).to_vec(), b"SEFT".to_vec()].concat()
}

/// The directory of a second picture, `offset` behind its own beginning.
fn multi_picture(offset: usize, size: usize) -> Vec<u8> {
    let long = |value: usize| u32::try_from(value).expect("short").to_be_bytes();
    let entry = |tag: u16, kind: u16, count: usize, value: [u8; 4]| {
        [tag.to_be_bytes().as_slice(), &kind.to_be_bytes(), &long(count), &value].concat()
    };
    [
        b"MPF\0MM\0*\0\0\0\x08\0\x03".to_vec(),
        entry(0xB000, 7, 4, *b"0100"),
        entry(0xB001, 4, 1, long(2)),
        entry(0xB002, 7, 32, long(50)),
        long(0).to_vec(),
        [0x20030000_u32.to_be_bytes(), long(0), long(0), long(0)].concat(),
        [long(0), long(size), long(offset), long(0)].concat(),
    ]
    .concat()
}

/// An Exif segment: the name of a recording, and Apple's notes with an identifier.
fn exif(sound: &str, content_id: &str) -> Vec<u8> {
    let long = |value: usize| u32::try_from(value).expect("short").to_le_bytes();
    let entry = |tag: u16, kind: u16, count: usize, value: usize| {
        [tag.to_le_bytes().as_slice(), &kind.to_le_bytes(), &long(count), &long(value)].concat()
    };
    let mut notes = b"Apple iOS\0\0\x01MM\0\x01\0\x11\0\x02".to_vec();
    notes.extend(u32::try_from(content_id.len() + 1).expect("short").to_be_bytes());
    notes.extend(32_u32.to_be_bytes());
    notes.extend([0; 4]);
    notes.extend(content_id.as_bytes());
    notes.push(0);
    let notes_at = 26 + 2 + 2 * 12 + 4;
    [
        b"Exif\0\0II*\0\x08\0\0\0\x01\0".to_vec(),
        entry(0x8769, 4, 1, 26),
        long(0).to_vec(),
        2_u16.to_le_bytes().to_vec(),
        entry(0x927C, 7, notes.len(), notes_at),
        entry(0xA004, 2, sound.len() + 1, notes_at + notes.len()),
        long(0).to_vec(),
        notes,
        sound.as_bytes().to_vec(),
        vec![0],
    ]
    .concat()
}

/// Words as the press agencies write them.
fn press_words(records: &[(u8, &str)]) -> Vec<u8> {
    let mut data = b"\x1C\x01\x5A\0\x03\x1B%G".to_vec();
    for (kind, text) in records {
        data.extend([0x1C, 2, *kind]);
        data.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
        data.extend(text.as_bytes());
    }
    let size = u32::try_from(data.len()).expect("short").to_be_bytes();
    data.resize(data.len().next_multiple_of(2), 0);
    [b"Photoshop 3.0\08BIM\x04\x04\0\0".as_slice(), &size, &data].concat()
}

/// A recording of a tenth of a second with the chunks of Exif.
fn recording(related_image: &str) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let size = u32::try_from(content.len()).expect("short").to_le_bytes();
        let padding = vec![0; content.len() % 2];
        [kind.as_slice(), &size, content, &padding].concat()
    };
    let format = b"\x01\0\x01\0\x40\x1F\0\0\x40\x1F\0\0\x01\0\x08\0";
    let related = format!("{related_image}\0");
    let exif = [
        b"exif".to_vec(),
        chunk(b"ever", b"0220"),
        chunk(b"erel", related.as_bytes()),
        chunk(b"ecor", b"NIKON\0"),
    ];
    let content = [
        b"WAVE".to_vec(),
        chunk(b"fmt ", format),
        chunk(b"LIST", &exif.concat()),
        chunk(b"data", &[128; 800]),
    ];
    chunk(b"RIFF", &content.concat())
}

/// What exiftool says of some bytes, as its JSON; `None` with a word where it is missing.
fn exiftool(name: &str, bytes: &[u8], args: &[&str]) -> Option<Value> {
    let (home, path) = put(name, bytes);
    let output = Command::new("exiftool").args(["-j", "-G1"]).args(args).arg(path).output();
    let Ok(output) = output else {
        println!("skipped: no exiftool");
        return None;
    };
    drop(home);
    let values: Value = serde_json::from_slice(&output.stdout).expect("its JSON");
    Some(values[0].clone())
}

/// The bytes behind one of exiftool's tags.
fn exiftool_bytes(name: &str, bytes: &[u8], tag: &str) -> Option<Vec<u8>> {
    let (home, path) = put(name, bytes);
    let output = Command::new("exiftool").args(["-b", tag]).arg(path).output().ok()?;
    drop(home);
    Some(output.stdout)
}

fn put(name: &str, bytes: &[u8]) -> (Home, std::path::PathBuf) {
    let home = Home::new();
    let path = home.write(name, bytes);
    (home, path)
}

fn slice<'a>(bytes: &'a [u8], part: &Embedded) -> &'a [u8] {
    let begin = usize::try_from(part.offset).expect("a place");
    &bytes[begin..begin + usize::try_from(part.bytes_count).expect("a size")]
}

/// Asserts which parts a photo has, and that exiftool gives the same bytes for them.
#[track_caller]
fn check_parts(bytes: &[u8], wanted: &[(Member, Evidence, &[u8])], tags: &[&str]) {
    let extras = Extras::read(bytes);
    let found: Vec<_> = extras
        .embedded
        .iter()
        .map(|part| (part.member, part.evidence, slice(bytes, part)))
        .collect();
    assert_eq!(found, wanted, "{extras:?}");
    for (part, tag) in wanted.iter().zip(tags).filter(|(_, tag)| !tag.is_empty()) {
        match exiftool_bytes("a.jpg", bytes, tag) {
            Some(theirs) => assert_eq!(theirs, part.2, "{tag}"),
            None => println!("skipped: no exiftool"),
        }
    }
}

#[test]
fn films_of_phones_are_found_inside_the_photo() {
    let film = film(b"mp42", None);
    let still = jpeg(&packet("", ""), &[]);
    let motion = (Member::Motion, Evidence::Xmp, film.as_slice());

    let items = [("video/mp4", "MotionPhoto", film.len())];
    let photo = [jpeg(&container(4, &items), &[]), vec![0; 4], film.clone()].concat();
    check_parts(&photo, &[motion], &[]);
    let lengths = exiftool("a.jpg", &photo, &["-DirectoryItemLength"]);
    if let Some(lengths) = lengths {
        assert_eq!(lengths["XMP-Container:DirectoryItemLength"], film.len(), "{lengths}");
    }

    // An older phone; what is told of it twice is one film.
    let offset = format!(r#"GCamera:MicroVideo="1" GCamera:MicroVideoOffset="{}""#, film.len());
    let photo = [jpeg(&packet(&offset, ""), &[]), film.clone()].concat();
    check_parts(&photo, &[motion], &[]);

    // A gain map between the picture and the film.
    let items = [("image/jpeg", "GainMap", still.len()), items[0]];
    let photo = [jpeg(&container(0, &items), &[]), still.clone(), film.clone()].concat();
    check_parts(&photo, &[(Member::Auxiliary, Evidence::Xmp, &still), motion], &[]);

    // The film is there and nothing says where.
    let photo = [jpeg(&container(0, &items[..1]), &[]), still.clone(), film.clone()].concat();
    let found = Extras::read(&photo).embedded;
    assert!(
        found.iter().any(|part| part.evidence == Evidence::Ftyp && slice(&photo, part) == film)
    );
}

#[test]
fn samsungs_trailer_gives_what_exiftool_gives() {
    let (film, still) = (film(b"mp42", None), jpeg(&packet("", ""), &[]));
    let blocks: [(u16, &str, &[u8]); 4] = [
        (0x0A01, "Image_UTC_Data", b"1678260065000"),
        (0x0A30, "MotionPhoto_Data", &film),
        (0x0100, "SoundShot_000", b"RIFF....WAVE"),
        (0x0A20, "FlipPhoto_002", &still),
    ];
    let photo = [still.clone(), trailer(&blocks)].concat();
    check_parts(
        &photo,
        &[
            (Member::Motion, Evidence::Sef, &film),
            (Member::VoiceMemo, Evidence::Sef, b"RIFF....WAVE"),
            (Member::Auxiliary, Evidence::Sef, &still),
        ],
        &["-EmbeddedVideoFile", "-EmbeddedAudioFile", "-DualCameraImage"],
    );
}

#[test]
fn second_picture_is_found_and_a_stale_directory_is_not_believed() {
    let second = jpeg(&packet("", ""), &[]);
    let size = second.len();
    let primary = |offset| jpeg(&packet("", ""), &[(0xE2, multi_picture(offset, size))]);
    // The directory begins behind start, marker, length and its own mark.
    let offset = primary(0).len() - (2 + 4 + 4);
    let photo = [primary(offset), second.clone()].concat();
    check_parts(&photo, &[(Member::Auxiliary, Evidence::Mpf, &second)], &["-MPImage2"]);
    let stale = [primary(offset + 9), second].concat();
    check_parts(&stale, &[], &[]);
}

#[test]
fn lost_film_is_a_promise_and_no_error() {
    let photo = jpeg(&container(0, &[("video/mp4", "MotionPhoto", 12_345)]), &[]);
    let extras = Extras::read(&photo);
    assert!(extras.embedded.is_empty());
    assert_eq!(extras.promised.len(), 1);
    assert_eq!((extras.promised[0].member, &extras.promised[0].name), (Member::Motion, &None));
    // Neither is a film that was cut off half way.
    let film = film(b"mp42", None);
    let items = [("video/mp4", "MotionPhoto", film.len())];
    let cut = [jpeg(&container(0, &items), &[]), film[..200].to_vec()].concat();
    assert!(Extras::read(&cut).embedded.is_empty());
}

#[test]
fn links_and_words_inside_a_photo_are_those_of_exiftool() {
    let words = r#"<dc:title><rdf:Alt><rdf:li xml:lang="x-default">At sea</rdf:li></rdf:Alt></dc:title>
        <dc:subject><rdf:Bag><rdf:li>boat</rdf:li><rdf:li>Zoë</rdf:li></rdf:Bag></dc:subject>"#;
    let press = [(25, "press"), (40, "print twice"), (120, "A boat."), (5, "Other title")];
    let segments = [(0xE1, exif("DSC_0001.WAV", CONTENT_ID)), (0xED, press_words(&press))];
    let photo = jpeg(&packet(r#"xmp:Rating="4""#, words), &segments);
    let extras = Extras::read(&photo);
    assert_eq!(extras.content_id.as_deref(), Some(CONTENT_ID));
    assert_eq!(extras.promised[0].name.as_deref(), Some("DSC_0001.WAV"));
    let some = |text: &str| Some(text.to_owned());
    let wanted = Words {
        keywords: ["boat", "Zoë", "press"].map(str::to_owned).to_vec(),
        title: some("At sea"),
        description: some("A boat."),
        instructions: some("print twice"),
        rating: Some(4),
    };
    assert_eq!(extras.words, wanted);
    let Some(theirs) = exiftool("a.jpg", &photo, &[]) else { return };
    for (tag, value) in [
        ("ExifIFD:RelatedSoundFile", "DSC_0001.WAV"),
        ("Apple:MediaGroupUUID", CONTENT_ID),
        ("XMP-dc:Title", "At sea"),
        ("IPTC:Caption-Abstract", "A boat."),
        ("IPTC:SpecialInstructions", "print twice"),
        ("IPTC:Keywords", "press"),
    ] {
        assert_eq!(theirs[tag], value, "{theirs}");
    }
    assert_eq!(theirs["XMP-dc:Subject"], serde_json::json!(["boat", "Zoë"]));
    assert_eq!(theirs["XMP-xmp:Rating"], 4);
}

#[test]
fn promised_recording_is_a_plain_name_whatever_the_photo_says() {
    for (tag, wanted) in [
        ("DSC_0001.WAV", Some("DSC_0001.WAV")),
        ("../../secret/keys.wav", Some("keys.wav")),
        ("C:\\DCIM\\A.WAV", Some("A.WAV")),
        ("RelatedSound", None),
        ("..", None),
        ("a/..", None),
        ("   ", None),
    ] {
        let extras = Extras::read(&jpeg("", &[(0xE1, exif(tag, "x"))]));
        let name = extras.promised.first().and_then(|promise| promise.name.as_deref());
        assert_eq!(name, wanted, "{tag}");
    }
}

fn facts(name: &str, bytes: &[u8]) -> Result<CompanionFacts, InspectError> {
    inspect(OsStr::new(name), &mut Cursor::new(bytes))
}

#[test]
fn companion_files_are_read_as_exiftool_reads_them() {
    let memo = recording("DSC_0001.JPG");
    let read = facts("DSC_0001.WAV", &memo).expect("a recording");
    assert_eq!((read.member, read.media_type.as_str()), (Member::VoiceMemo, "audio/wav"));
    assert_eq!(read.link, Some(Link::RelatedImage("DSC_0001.JPG".to_owned())));
    assert_eq!(read.duration_ms, Some(100));
    if let Some(theirs) = exiftool("a.wav", &memo, &[]) {
        assert_eq!(theirs["RIFF:RelatedImageFile"], "DSC_0001.JPG", "{theirs}");
    }

    let clip = film(b"qt  ", Some(CONTENT_ID));
    let read = facts("IMG_1.MOV", &clip).expect("a film");
    assert_eq!((read.member, read.media_type.as_str()), (Member::Motion, "video/quicktime"));
    assert_eq!(read.link, Some(Link::ContentId(CONTENT_ID.to_owned())));
    assert_eq!(read.duration_ms, Some(2500));
    if let Some(theirs) = exiftool("a.mov", &clip, &[]) {
        assert_eq!(theirs["Keys:ContentIdentifier"], CONTENT_ID, "{theirs}");
        assert_eq!(theirs["QuickTime:Duration"], "2.50 s", "{theirs}");
    }

    let sidecar = packet(
        r#"photoshop:SidecarForExtension="NEF" photoshop:Instructions="twice""#,
        "<dc:subject><rdf:Bag><rdf:li>boat</rdf:li></rdf:Bag></dc:subject>",
    );
    let read = facts("a.xmp", sidecar.as_bytes()).expect("a sidecar");
    assert_eq!(read.link, Some(Link::SidecarFor("NEF".to_owned())));
    assert_eq!(read.words.keywords, ["boat"]);
    if let Some(theirs) = exiftool("a.xmp", sidecar.as_bytes(), &[]) {
        assert_eq!(theirs["XMP-photoshop:SidecarForExtension"], "NEF", "{theirs}");
        assert_eq!(theirs["XMP-photoshop:Instructions"], "twice", "{theirs}");
    }

    let takeout = br#"{"title": "IMG_1.jpg", "description": "At sea", "favorited": true,
        "photoTakenTime": {"timestamp": "1688300000", "formatted": "2 Jul 2023"},
        "geoData": {"latitude": 54.3, "longitude": 10.1}, "people": [{"name": "Zo\u00eb"}]}"#;
    let read = facts("IMG_1.jpg.json", takeout).expect("what Google says");
    assert_eq!(read.link, Some(Link::Title("IMG_1.jpg".to_owned())));
    assert_eq!(read.taken_at.map(|at| at.0), Some(1_688_300_000_000));
    let kept = serde_json::to_string(&read).expect("JSON");
    assert!(!kept.contains("54.3") && !kept.contains("Zo"), "{kept}");
}

#[test]
fn film_with_its_index_behind_four_gigabytes_is_read_by_seeking() {
    use std::io::{Seek, SeekFrom, Write};
    let home = Home::new();
    let path = home.write("a.mov", b"");
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("opens");
    let whole = film(b"qt  ", Some(CONTENT_ID));
    let index_at = whole.windows(4).position(|kind| kind == b"moov").expect("an index") - 4;
    let pictures_bytes = 5_u64 << 30;
    let mut head = whole[..20].to_vec();
    head.extend(b"\0\0\0\x01mdat");
    head.extend((pictures_bytes + 16).to_be_bytes());
    file.write_all(&head).expect("written");
    file.seek(SeekFrom::Current(i64::try_from(pictures_bytes).expect("a place"))).expect("sparse");
    file.write_all(&whole[index_at..]).expect("written");
    let read = inspect(OsStr::new("a.mov"), &mut file).expect("a film");
    assert_eq!(read.link, Some(Link::ContentId(CONTENT_ID.to_owned())));
}

#[test]
fn what_is_not_what_its_name_says_is_refused_with_a_reason() {
    for (name, bytes, wanted) in [
        ("a.wav", b"not a recording".as_slice(), "a WAV recording"),
        ("a.mov", b"not a film at all", "a film"),
        ("a.mov", b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "no index"),
        ("a.mp4", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", "a film"),
        ("a.xmp", b"<html></html>", "an XMP sidecar"),
        ("a.json", b"{\"title\": 7}", "Google"),
        ("a.aae", b"hello", "edits"),
        ("a.thm", b"hello", "a small JPEG"),
        ("a.nef", b"hello", "raw data"),
        ("a.txt", b"hello", "no companion"),
    ] {
        let error = facts(name, bytes).expect_err(name).to_string();
        assert!(error.contains(wanted), "{name}: {error}");
    }
    // Entities that grow, and a document that reads other files.
    let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>"#;
    let bomb = format!("{bomb}{}", packet("", "<dc:title>&b;&c;</dc:title>"));
    assert!(facts("a.xmp", bomb.as_bytes()).is_err());
}

#[test]
fn links_decide_before_names() {
    let other_id = "00000000-0000-0000-0000-000000000000";
    let live = Extras { content_id: Some(CONTENT_ID.to_owned()), ..Extras::default() };
    let sound = Extras::read(&jpeg("", &[(0xE1, exif("DSC_0001.WAV", "x"))]));
    let none = Extras::default();
    let clip = |id| facts("a.mov", &film(b"qt  ", id)).expect("a film");
    let memo = |image: &str| facts("a.wav", &recording(image)).expect("a recording");
    let sidecar = |extension: &str| {
        let attribute = format!(r#"photoshop:SidecarForExtension="{extension}""#);
        facts("a.xmp", packet(&attribute, "").as_bytes()).expect("a sidecar")
    };
    let plain = facts("a.xmp", packet("", "").as_bytes()).expect("a sidecar");
    let title = |title: &str| {
        let json = format!(r#"{{"title":"{title}","photoTakenTime":{{"timestamp":"1"}}}}"#);
        facts("a.json", json.as_bytes()).expect("what Google says")
    };
    let long = "Screenshot_20230702_123456_com.example.gallery";
    let (cut, long_photo) = (format!("{long}.json"), format!("{long}_1.jpg"));
    for (photo, extras, companion, facts, wanted) in [
        ("IMG_1.HEIC", &live, "IMG_1.MOV", clip(Some(CONTENT_ID)), Some(Evidence::ContentId)),
        ("IMG_1.HEIC", &live, "IMG_9.MOV", clip(Some(CONTENT_ID)), Some(Evidence::ContentId)),
        ("IMG_1.HEIC", &live, "IMG_1.MOV", clip(Some(other_id)), None),
        ("IMG_1.HEIC", &live, "IMG_1.MOV", clip(None), Some(Evidence::Stem)),
        ("IMG_1.HEIC", &none, "IMG_1.MOV", clip(Some(CONTENT_ID)), Some(Evidence::Stem)),
        ("IMG_1.HEIC", &none, "IMG_9.MOV", clip(Some(CONTENT_ID)), None),
        ("a.jpg", &none, "a.wav", memo("A.JPG"), Some(Evidence::RelatedImage)),
        ("a.jpg", &none, "b.wav", memo("DCIM\\A.JPG"), Some(Evidence::RelatedImage)),
        ("a.jpg", &none, "a.wav", memo("DSC_0001.JPG"), None),
        ("a.jpg", &sound, "a.wav", memo("DSC_0001.JPG"), Some(Evidence::Stem)),
        ("a.jpg", &sound, "dsc_0001.wav", memo("x.jpg"), Some(Evidence::SoundFile)),
        ("a.jpg", &none, "a.xmp", plain.clone(), Some(Evidence::SidecarName)),
        ("a.jpg", &none, "a.xmp", sidecar("NEF"), None),
        ("a.nef", &none, "a.xmp", sidecar("NEF"), Some(Evidence::SidecarName)),
        ("a.jpg", &none, "a.jpg.xmp", sidecar("JPG"), Some(Evidence::SidecarName)),
        ("a.jpg", &none, "a.jpg.json", title("what?.jpg"), Some(Evidence::TakeoutName)),
        ("a.jpg", &none, "b.jpg.json", title("a.jpg"), None),
        (&long_photo, &none, &cut, title(&format!("{long}_1.jpg")), Some(Evidence::TakeoutName)),
        (&long_photo, &none, &cut, title(&format!("{long}_2.jpg")), None),
    ] {
        let found = belongs(OsStr::new(photo), extras, OsStr::new(companion), &facts);
        assert_eq!(found, wanted, "{photo} {companion} {facts:?}");
    }
}

/// A folder as a card has it: a photo with a memo and raw data, a motion photo, and a
/// recording that belongs to nothing.
fn card() -> (Home, Vec<u8>) {
    let home = Home::new();
    let film = film(b"mp42", None);
    let items = [("video/mp4", "MotionPhoto", film.len())];
    home.write("card/DSC_0001.JPG", jpeg("", &[]));
    home.write("card/DSC_0001.WAV", recording("DSC_0001.JPG"));
    home.write("card/DSC_0001.NEF", b"II*\0\x08\0\0\0raw");
    home.write("card/PXL_1.MP.jpg", [jpeg(&container(0, &items), &[]), film.clone()].concat());
    home.write("card/SND_0099.WAV", recording("IMG_0099.JPG"));
    home.write("card/metadata.json", r#"{"title": "Holidays"}"#);
    home.write("card/MISC/AUTPRINT.MRK", "[HDR]\r\n");
    (home, film)
}

#[test]
fn look_gives_one_line_for_a_photo_with_its_companions() {
    let (home, _) = card();
    let run = home.run(&["--json", "look", "card"]).done();
    let lines = run.json();
    let words: Vec<_> = lines
        .iter()
        .map(|line| {
            let companions = line["companions"].as_array().expect("a list").iter();
            let words = companions.map(|one| (one["role"].clone(), one["evidence"].clone()));
            (line["path"].clone(), words.collect::<Vec<_>>())
        })
        .collect();
    let word = |text: &str| Value::from(text);
    assert_eq!(
        words,
        [
            (
                word("card/DSC_0001.JPG"),
                vec![(word("voice-memo"), word("related-image")), (word("raw"), word("stem"))]
            ),
            (word("card/PXL_1.MP.jpg"), vec![(word("motion"), word("xmp"))]),
        ],
        "{run:?}"
    );
    let memo = &lines[0]["companions"][0];
    assert_eq!(memo["path"], "card/DSC_0001.WAV");
    assert_eq!((&memo["media_type"], memo.get("offset")), (&word("audio/wav"), None));
    assert!(run.stderr.contains("SND_0099.WAV") && run.stderr.contains("no photo"), "{run:?}");
    assert!(!run.stderr.contains("DSC_0001"), "{run:?}");
    let text = home.run(&["look", "card"]).done().stdout;
    assert!(text.contains("voice-memo DSC_0001.WAV") && text.contains("motion inside"), "{text}");
}

#[test]
fn companion_named_with_its_photo_is_no_photo_of_its_own() {
    let (home, _) = card();
    let run = home.run(&["--json", "look", "./card/DSC_0001.WAV", "card/DSC_0001.JPG"]).done();
    assert_eq!(run.json().len(), 1, "{run:?}");
    assert!(run.stderr.is_empty(), "{run:?}");
    // Raw data that are asked for by themselves are a photo.
    let run = home.run(&["--json", "look", "card/DSC_0001.NEF"]);
    assert_eq!(run.json()[0]["path"], "card/DSC_0001.NEF", "{run:?}");
}

#[test]
fn companions_are_saved_whole_and_over_nothing() {
    let (home, film) = card();
    let run = home.run(&["--json", "companions", "card/PXL_1.MP.jpg", "--save", "out"]).done();
    let line = run.json().remove(0);
    let offset = line["offset"].as_u64().expect("an offset");
    let saved = home.path().join(format!("out/PXL_1.MP-motion-{offset}.mp4"));
    assert_eq!(std::fs::read(&saved).expect("the film"), film);
    assert_eq!(line["bytes_count"], film.len());
    home.run(&["companions", "card/DSC_0001.JPG", "--save", "out"]).done();
    let memo = std::fs::read(home.path().join("out/DSC_0001.WAV")).expect("the memo");
    assert_eq!(memo, recording("DSC_0001.JPG"));

    std::fs::write(&saved, b"mine").expect("written");
    let again = home.run(&["companions", "card/PXL_1.MP.jpg", "--save", "out"]);
    assert_eq!(again.code, 1, "{again:?}");
    assert_eq!(std::fs::read(&saved).expect("mine"), b"mine");
    let names = std::fs::read_dir(home.path().join("out")).expect("a folder");
    assert_eq!(names.count(), 3, "nothing else is left behind");
}

#[test]
fn companions_of_real_phones_are_those_of_exiftool() {
    let Some(folder) = shared("camera") else { return };
    for (name, tag) in [
        ("motion/motionphoto.heic", "-MotionPhotoVideo"),
        ("motion/pixel_8.jpg", "-MPImage2"),
        ("motion/normalphoto.jpg", "-EmbeddedVideoFile"),
    ] {
        let bytes = std::fs::read(folder.join(name)).expect("a photo");
        let parts: Vec<_> = Extras::read(&bytes).embedded;
        let ours: Vec<u8> = parts.iter().flat_map(|part| slice(&bytes, part)).copied().collect();
        let file = Path::new(name).file_name().and_then(OsStr::to_str).expect("a name");
        let Some(theirs) = exiftool_bytes(file, &bytes, tag) else { return };
        assert!(ours == theirs, "{name}: {} bytes, exiftool {}", ours.len(), theirs.len());
    }
    let bytes = std::fs::read(folder.join("heic/IMG_5195.HEIC")).expect("a photo");
    assert_eq!(Extras::read(&bytes).content_id.as_deref(), Some(CONTENT_ID));
    let tags = ["-j", "-G1", "-Subject", "-Keywords", "-Rating"];
    let output = Command::new("exiftool").args(tags).arg(folder.join("exif")).output();
    let theirs: Value = serde_json::from_slice(&output.expect("exiftool").stdout).expect("JSON");
    for theirs in theirs.as_array().expect("a list") {
        let path = theirs["SourceFile"].as_str().expect("a path");
        let words = Extras::read(&std::fs::read(path).expect("a photo")).words;
        let many = |tag: &str| match &theirs[tag] {
            Value::Array(values) => values.clone(),
            Value::Null => Vec::new(),
            value => vec![value.clone()],
        };
        let mut wanted = many("XMP-dc:Subject");
        wanted.extend(many("IPTC:Keywords"));
        wanted.retain(|keyword| keyword.as_str() != Some(""));
        for keyword in &words.keywords {
            assert!(wanted.iter().any(|one| one == keyword), "{path} {keyword}");
        }
        assert_eq!(words.keywords.is_empty(), wanted.is_empty(), "{path} {theirs}");
        let rating = theirs["XMP-xmp:Rating"].as_i64();
        assert_eq!(words.rating.map(i64::from), rating, "{path} {theirs}");
    }
}
