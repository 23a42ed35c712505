//! Names as cameras, phones and Google give them.

use proptest::prelude::*;

use super::*;

fn nearness(photo: &str, companion: &str) -> Option<Nearness> {
    tie(OsStr::new(photo), OsStr::new(companion)).map(|tie| tie.nearness)
}

fn photos<'a>(companion: &str, names: &[&'a str]) -> Vec<&'a str> {
    photos_of(OsStr::new(companion), names.iter().map(|name| OsStr::new(*name)))
        .into_iter()
        .filter_map(OsStr::to_str)
        .collect()
}

#[test]
fn names_tell_what_a_file_may_be() {
    for (name, kind) in [
        ("DSC_0001.JPG", Kind::Photo),
        ("a.heic", Kind::Photo),
        ("a.NEF", Kind::Photo),
        ("PXL_1.MP.jpg", Kind::Photo),
        ("a.wav", Kind::Companion(Member::VoiceMemo)),
        ("IMG_1234.MOV", Kind::Companion(Member::Motion)),
        ("PXL_1.MP", Kind::Companion(Member::Motion)),
        ("a.jpg.xmp", Kind::Companion(Member::Sidecar)),
        ("a.jpg.json", Kind::Companion(Member::Takeout)),
        ("IMG_1.AAE", Kind::Companion(Member::Edits)),
        ("IMG_1.THM", Kind::Companion(Member::Thumbnail)),
        ("AUTPRINT.MRK", Kind::PrintMarks),
        ("autrint.mrk", Kind::PrintMarks),
        ("AUTPLAY.MRK", Kind::Other),
        ("metadata.json", Kind::Album),
        ("Metadaten(2).json", Kind::Album),
        (".a.jpg", Kind::Other),
        ("._IMG_1.JPG", Kind::Other),
        ("jpg", Kind::Other),
        (".jpg", Kind::Other),
        ("a.jpg.part", Kind::Other),
        ("", Kind::Other),
    ] {
        assert_eq!(kind_of(OsStr::new(name)), kind, "{name}");
    }
}

#[test]
fn companions_are_tied_by_name_stem_number_and_edit() {
    for (photo, companion, wanted) in [
        ("DSC_0001.JPG", "DSC_0001.WAV", Some(Nearness::Stem)),
        ("DSC_0001.JPG", "DSC_0001.wav", Some(Nearness::Stem)),
        ("DSC_0001.JPG", "dsc_0001.wav", Some(Nearness::Stem)),
        ("DSC_0001.JPG", "DSC_0002.WAV", None),
        ("IMG_0001.JPG", "SND_0001.WAV", Some(Nearness::Number)),
        ("IMG_0001.JPG", "MVI_0001.MP4", None),
        ("holiday1.jpg", "SND_0001.WAV", None),
        ("a.jpg", "a.xmp", Some(Nearness::Stem)),
        ("a.jpg", "a.jpg.xmp", Some(Nearness::Name)),
        ("a.jpg", "a.JPG.XMP", Some(Nearness::Name)),
        ("a.jpg", "a.nef.xmp", None),
        ("a.jpg", "a.nef", Some(Nearness::Stem)),
        ("a.nef", "a.jpg", None),
        ("a.nef", "a.dng", None),
        ("a.nef", "a.wav", Some(Nearness::Stem)),
        ("a.jpg", "a.png", None),
        ("IMG_1.HEIC", "IMG_1_HEVC.MOV", Some(Nearness::Stem)),
        ("IMG_E1234.JPG", "IMG_E1234.MOV", Some(Nearness::Stem)),
        ("IMG_E1234.JPG", "IMG_1234.AAE", Some(Nearness::Edited)),
        ("IMG_E1234.JPG", "IMG_1234.MOV", Some(Nearness::Edited)),
        ("IMG_EDIT.JPG", "IMG_DIT.MOV", None),
        ("PXL_1.MP.jpg", "PXL_1.MP", Some(Nearness::Stem)),
        ("PXL_1.MP.jpg", "PXL_1.MP.mp4", Some(Nearness::Stem)),
        ("a.jpg", "metadata.json", None),
        ("a.wav", "a.xmp", None),
    ] {
        assert_eq!(nearness(photo, companion), wanted, "{photo} {companion}");
    }
}

#[test]
fn what_google_takeout_writes_is_tied_although_names_are_cut() {
    // 46 characters and `.json` are 51.
    let long = "Screenshot_20230702_123456_com.example.gallery";
    assert_eq!(long.len(), TAKEOUT_CUT_CHARS);
    let short = |chars| long.get(..chars).expect("ASCII");
    for (photo, json, wanted) in [
        ("IMG_1.jpg", "IMG_1.jpg.json", Some(Nearness::Name)),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json", Some(Nearness::Name)),
        ("IMG_1.jpg", "IMG_1.jpg.suppl.json", Some(Nearness::Name)),
        ("IMG_1.jpg", "IMG_1.jpg..json", Some(Nearness::Name)),
        ("IMG_1.jpg", "IMG_1.jpg.other.json", None),
        ("IMG_1.jpg", "IMG_1.json", None),
        ("IMG_1.jpg", "IMG_10.jpg.json", None),
        ("IMG_10.jpg", "IMG_1.jpg.json", None),
        ("IMG_1(1).jpg", "IMG_1.jpg(1).json", Some(Nearness::Name)),
        ("IMG_1(1).jpg", "IMG_1.jpg.supplemental-metadata(1).json", Some(Nearness::Name)),
        ("IMG_1(1).jpg", "IMG_1(1).jpg.json", Some(Nearness::Name)),
        ("IMG_1(1).jpg", "IMG_1.jpg.json", None),
        ("IMG_1.jpg", "IMG_1.jpg(1).json", None),
        ("IMG_1(2).jpg", "IMG_1.jpg(1).json", None),
        ("IMG_1-edited.jpg", "IMG_1.jpg.json", Some(Nearness::Edited)),
        ("IMG_1-edited(1).jpg", "IMG_1.jpg.supplemental-metadata(1).json", Some(Nearness::Edited)),
        ("IMG_1-edited.jpg", "IMG_2.jpg.json", None),
        (&format!("{long}_x.jpg"), &format!("{long}.json"), Some(Nearness::Cut)),
        (&format!("{long}_x(1).jpg"), &format!("{long}(1).json"), Some(Nearness::Cut)),
        (&format!("{long}_x.jpg"), &format!("{long}(1).json"), None),
        (&format!("{long}.jpg"), &format!("{long}.json"), Some(Nearness::Cut)),
        (
            &format!("{}.jpg", short(30)),
            &format!("{}.jpg.supplementa.json", short(30)),
            Some(Nearness::Name),
        ),
        (&format!("{}.jpg", short(43)), &format!("{}.jp.json", short(43)), Some(Nearness::Cut)),
        ("IMG_1.jpg", "IMG_1.jp.json", None),
    ] {
        assert_eq!(nearness(photo, json), wanted, "{photo} {json}");
    }
}

#[test]
fn closest_names_win() {
    // A case that is the same, a whole name, a stem.
    assert_eq!(photos("a.wav", &["A.jpg", "a.jpg"]), ["a.jpg"]);
    assert_eq!(photos("a.wav", &["A.jpg"]), ["A.jpg"]);
    assert_eq!(photos("a.jpg.xmp", &["a.jpg", "a.png"]), ["a.jpg"]);
    assert_eq!(photos("a.xmp", &["a.jpg", "a.nef", "b.jpg"]), ["a.jpg", "a.nef"]);
    assert_eq!(photos("a.nef", &["a.jpg", "a.nef"]), ["a.jpg"]);
    assert_eq!(photos("IMG_1234.AAE", &["IMG_E1234.JPG", "IMG_1234.HEIC"]), ["IMG_1234.HEIC"]);
    assert_eq!(photos("x.wav", &["a.jpg"]), [""; 0]);
}

#[test]
fn candidates_are_few_and_hold_what_cameras_write() {
    for (photo, wanted) in [
        ("DSC_0001.JPG", "DSC_0001.WAV"),
        ("DSC_0001.JPG", "DSC_0001.NEF"),
        ("DSC_0001.JPG", "DSC_0001.xmp"),
        ("DSC_0001.JPG", "DSC_0001.JPG.xmp"),
        ("IMG_0001.JPG", "SND_0001.WAV"),
        ("IMG_1234.HEIC", "IMG_1234.MOV"),
        ("IMG_E1234.JPG", "IMG_1234.AAE"),
        ("PXL_1.MP.jpg", "PXL_1.MP"),
        ("a.jpg", "a.jpg.json"),
        ("a.jpg", "a.jpg.supplemental-metadata.json"),
        ("a(1).jpg", "a.jpg.supplemental-metadata(1).json"),
        ("a-edited.jpg", "a.jpg.supplemental-metadata.json"),
        (
            "20230702_123456_with_a_long_name.jpg",
            "20230702_123456_with_a_long_name.jpg.supplemen.json",
        ),
    ] {
        let names = candidates(OsStr::new(photo));
        assert!(names.iter().any(|name| name == wanted), "{photo} {wanted}: {names:?}");
    }
    assert!(candidates(OsStr::new("a.wav")).is_empty());
    let raw = OsStr::new("DSC_0001.NEF");
    assert!(pictures_of(raw).iter().all(|picture| tie(picture, raw).is_some()));
    assert!(pictures_of(raw).iter().any(|picture| picture == "DSC_0001.JPG"));
    assert!(pictures_of(OsStr::new("DSC_0001.JPG")).is_empty());
}

#[test]
fn bytes_that_are_no_text_are_names_too() {
    let photo = OsStr::from_bytes(b"a\xFF\xFE.jpg");
    assert_eq!(kind_of(photo), Kind::Photo);
    let memo = OsStr::from_bytes(b"a\xFF\xFE.wav");
    assert_eq!(tie(photo, memo).map(|tie| tie.member), Some(Member::VoiceMemo));
    assert!(candidates(photo).iter().any(|name| name == memo));
}

fn name() -> impl Strategy<Value = OsString> {
    let parts = proptest::sample::select(vec![
        "IMG_",
        "E",
        "0001",
        "a",
        "(1)",
        "-edited",
        ".jpg",
        ".JPG",
        ".nef",
        ".xmp",
        ".json",
        ".MP",
        "SND_",
        ".supplemental-metadata",
        ".",
        "é",
        "_HEVC",
        "0123456789_123456789_123456789",
    ]);
    proptest::collection::vec(parts, 1..7).prop_map(|parts| parts.concat().into())
}

proptest! {
    #[test]
    fn every_candidate_is_tied_to_its_photo(photo in name()) {
        let names = candidates(&photo);
        prop_assert!(names.len() <= 64);
        for (index, name) in names.iter().enumerate() {
            prop_assert!(tie(&photo, name).is_some(), "{:?} {:?}", photo, name);
            prop_assert!(!names[..index].contains(name), "twice: {:?}", name);
        }
    }

    #[test]
    fn any_names_are_survived(one in proptest::collection::vec(any::<u8>(), 0..80), other in name()) {
        let one = OsString::from_vec(one);
        let _whatever = (tie(&one, &other), tie(&other, &one), candidates(&one), kind_of(&one));
    }
}
