//! What belongs to a photo, against an index in memory.

use super::*;
use crate::base::clock::Timestamp;
use crate::base::file_kind::FileKind;
use crate::base::file_state::FileState;
use crate::media::{Extras, Link, Promise};
use crate::store::members::path_key;
use crate::store::{CompanionRow, MarkRow, PhotoRow};

fn hash(name: &str) -> ContentHash {
    ContentHash::of(name.as_bytes())
}

fn analysis(extras: &Extras) -> Analysis {
    let json = serde_json::json!({
        "width_px": 400, "height_px": 300, "bytes_count": 1, "media_type": "image/jpeg",
        "taken_at": null, "icons": [], "extras": extras,
    });
    serde_json::from_value(json).expect("an analysis")
}

fn note(index: &mut Index, path: &str, kind: FileKind) {
    let inode = u64::from(hash(path).as_bytes()[0]);
    let state = FileState { bytes_count: 1, modified_ns: 2, changed_ns: 3, device: 4, inode };
    index.note_file("c", Path::new(path), kind, &state, Some(&hash(path))).expect("noted");
}

fn put_photo(index: &mut Index, path: &str, extras: &Extras) {
    let row = PhotoRow {
        hash: hash(path),
        analysis_json: serde_json::to_string(&analysis(extras)).expect("JSON"),
        first_seen: Timestamp(0),
        may_order: true,
    };
    index.record_photo(&row).expect("recorded");
    note(index, path, FileKind::Photo);
}

fn put_companion(index: &mut Index, path: &str, member: Member, link: Option<&Link>) {
    let facts = serde_json::json!({ "member": member, "media_type": "x/y", "link": link });
    let row = CompanionRow { hash: hash(path), bytes_count: 9, facts_json: facts.to_string() };
    index.record_companion(&row).expect("recorded");
    note(index, path, FileKind::Companion);
}

fn group(index: &Index, path: &str) -> Group {
    let row = index.photo(&hash(path)).expect("asked").expect("is there");
    let analysis = serde_json::from_str(&row.analysis_json).expect("an analysis");
    Group::of(index, &hash(path), &analysis).expect("asked")
}

fn names(group: &Group) -> Vec<&str> {
    group.companions.iter().map(|companion| companion.name.as_str()).collect()
}

#[test]
fn companions_are_found_beside_and_inside_and_those_of_others_are_not() {
    let mut index = Index::open_in_memory().expect("opens");
    let film = Embedded {
        member: Member::Motion,
        media_type: "video/mp4".into(),
        offset: 100,
        bytes_count: 50,
        evidence: Evidence::Xmp,
    };
    let extras = Extras { embedded: vec![film.clone(), film], ..Extras::default() };
    put_photo(&mut index, "a/IMG_1.jpg", &extras);
    put_companion(&mut index, "a/IMG_1.WAV", Member::VoiceMemo, None);
    put_companion(&mut index, "a/IMG_2.WAV", Member::VoiceMemo, None);
    put_companion(&mut index, "b/IMG_1.WAV", Member::VoiceMemo, None);
    // It says that it belongs to another picture.
    let other = Link::RelatedImage("DSC_9.JPG".into());
    put_companion(&mut index, "a/IMG_1.wav", Member::VoiceMemo, Some(&other));
    let group = group(&index, "a/IMG_1.jpg");
    assert_eq!(names(&group), ["IMG_1-motion.mp4", "IMG_1-motion-1.mp4", "IMG_1.WAV"]);
    assert_eq!(group.companions[0].lies, Lies::Inside(100));
    assert_eq!(group.companions[2].lies, Lies::Beside(hash("a/IMG_1.WAV")));
    assert_eq!(group.members(), [Member::Motion, Member::VoiceMemo].into());
    assert!(group.missing.is_empty() && !group.is_part);
}

#[test]
fn promised_companion_is_missing_until_it_is_there() {
    let mut index = Index::open_in_memory().expect("opens");
    let promise = Promise {
        member: Member::VoiceMemo,
        name: Some("SND_1.WAV".into()),
        evidence: Evidence::SoundFile,
    };
    let outside = Promise { name: Some("../../x.WAV".into()), ..promise.clone() };
    let live = Some("A-B".to_owned());
    let extras = Extras { promised: vec![promise, outside], content_id: live, ..Extras::default() };
    put_photo(&mut index, "a/IMG_1.jpg", &extras);
    let missing = group(&index, "a/IMG_1.jpg").missing;
    let members: Vec<_> = missing.iter().map(|missing| missing.member).collect();
    assert_eq!(members, [Member::VoiceMemo, Member::VoiceMemo, Member::Motion]);
    let paths = candidates(Path::new("a/IMG_1.jpg"), &analysis(&extras));
    assert!(paths.iter().all(|path| path.parent() == Some(Path::new("a"))), "{paths:?}");
    put_companion(&mut index, "a/snd_1.wav", Member::VoiceMemo, None);
    put_companion(&mut index, "a/IMG_1.MOV", Member::Motion, Some(&Link::ContentId("a-b".into())));
    assert!(group(&index, "a/IMG_1.jpg").missing.is_empty());
}

#[test]
fn raw_data_beside_a_developed_picture_is_part_of_it_in_any_order() {
    let mut index = Index::open_in_memory().expect("opens");
    put_photo(&mut index, "a/DSC_1.NEF", &Extras::default());
    assert!(!group(&index, "a/DSC_1.NEF").is_part);
    put_photo(&mut index, "a/DSC_1.jpg", &Extras::default());
    assert!(group(&index, "a/DSC_1.NEF").is_part);
    let picture = group(&index, "a/DSC_1.jpg");
    assert_eq!(picture.raws().collect::<Vec<_>>(), [("DSC_1.NEF", hash("a/DSC_1.NEF"))]);
    assert!(!picture.is_part);
    // Read as a companion it is one too.
    put_companion(&mut index, "a/DSC_2.CR2", Member::Raw, None);
    put_photo(&mut index, "a/DSC_2.JPG", &Extras::default());
    assert_eq!(group(&index, "a/DSC_2.JPG").raws().count(), 1);
}

#[test]
fn late_companion_finds_its_photos_by_names() {
    let mut index = Index::open_in_memory().expect("opens");
    for name in ["a/IMG_1.jpg", "a/img_1.png", "a/IMG_10.jpg", "a/IMG_E7.JPG", "a/x.y.jpg"] {
        put_photo(&mut index, name, &Extras::default());
    }
    let long = "a/IMG_20240101_120000000_A_LONG_NAME_OF_PHOTO_IND.jpg";
    put_photo(&mut index, long, &Extras::default());
    let found = |companion: &str| photos_beside(&index, "c", Path::new(companion)).expect("asked");
    assert_eq!(found("a/IMG_1.WAV"), [hash("a/IMG_1.jpg")].into());
    assert_eq!(found("a/IMG_10.wav"), [hash("a/IMG_10.jpg")].into());
    assert_eq!(found("b/IMG_1.WAV"), [].into());
    assert_eq!(found("a/IMG_7.AAE"), [hash("a/IMG_E7.JPG")].into());
    assert_eq!(found("a/x.y.jpg.xmp"), [hash("a/x.y.jpg")].into());
    assert_eq!(found("a/x.y.jpg.supplemental-metadata.json"), [hash("a/x.y.jpg")].into());
    let json = "a/IMG_20240101_120000000_A_LONG_NAME_OF_PHOTO_IN.json";
    assert_eq!(found(json), [hash(long)].into());
    assert_eq!(found("a/other.json"), [].into());
}

#[test]
fn print_jobs_are_of_the_photo_that_they_name() {
    let mut index = Index::open_in_memory().expect("opens");
    put_photo(&mut index, "DCIM/100A/IMG_1.jpg", &Extras::default());
    note(&mut index, "MISC/AUTPRINT.MRK", FileKind::Marks);
    let marks = b"[HDR]\nGEN REV=01.10\n[JOB]\nPRT PID=001\nPRT TYP=SIZ -99 0102\nPRT QTY=002\n\
        IMG FMT=EXIF2 -J\n<IMG SRC = \"../DCIM/100A/IMG_1.JPG\">\n";
    let parsed = crate::media::dpof::parse(marks, None);
    let job = &parsed.jobs[0];
    let fact = print_fact(job, parsed.creator.as_deref());
    let row = MarkRow {
        path_key: path_key(Path::new("DCIM/100A/IMG_1.JPG")),
        job_json: serde_json::to_string(&fact).expect("JSON"),
    };
    index.set_marks("c", Path::new("MISC/AUTPRINT.MRK"), &[row]).expect("set");
    let jobs = group(&index, "DCIM/100A/IMG_1.jpg").jobs;
    assert_eq!(jobs, [fact]);
    assert_eq!((jobs[0].copies, jobs[0].kind), (2, facts::PrintKind::Sized));
    assert_eq!(jobs[0].size_mm, 102);
}
