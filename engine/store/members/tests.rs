//! Companions and print orders in an index in memory.

use super::*;
use crate::base::clock::Timestamp;
use crate::base::file_kind::FileKind;
use crate::base::file_state::FileState;
use crate::store::PhotoRow;

fn hash(name: &str) -> ContentHash {
    ContentHash::of(name.as_bytes())
}

/// An index in which each of these files holds a photo.
fn index(photos: &[&str]) -> Index {
    let mut index = Index::open_in_memory().expect("opens");
    for name in photos {
        let row = PhotoRow {
            hash: hash(name),
            analysis_json: "{}".to_owned(),
            first_seen: Timestamp(0),
            may_order: true,
        };
        index.record_photo(&row).expect("recorded");
        file(&mut index, name);
    }
    index
}

/// Notes a file that holds its own name.
fn file(index: &mut Index, name: &str) {
    let inode = u64::from(hash(name).as_bytes()[0]);
    let state = FileState { bytes_count: 1, modified_ns: 2, changed_ns: 3, device: 4, inode };
    let (path, hash) = (Path::new(name), hash(name));
    let kind = match path.extension().expect("an extension").to_ascii_lowercase() {
        marks if marks == "mrk" => FileKind::Marks,
        photo if photo == "jpg" => FileKind::Photo,
        _ => FileKind::Companion,
    };
    index.note_file("c", path, kind, &state, Some(&hash)).expect("recorded");
}

fn marks(paths: &[&str]) -> Vec<MarkRow> {
    let row = |path: &&str| MarkRow {
        path_key: path_key(Path::new(path)),
        job_json: format!("\"{path}\""),
    };
    paths.iter().map(row).collect()
}

#[test]
fn companion_moves_with_its_file_and_is_gone_with_it() {
    let mut index = index(&["a/1.jpg"]);
    let row = CompanionRow { hash: hash("a/1.wav"), bytes_count: 9, facts_json: "{}".to_owned() };
    index.record_companion(&row).expect("recorded");
    assert_eq!(index.held_at("c", Path::new("a/1.wav")).expect("asked"), None);
    file(&mut index, "a/1.wav");
    let held = |index: &Index, path: &str| index.held_at("c", Path::new(path)).expect("asked");
    assert_eq!(held(&index, "a/1.wav"), Some(Held::Companion(row)));
    assert_eq!(held(&index, "a/1.jpg"), Some(Held::Photo(hash("a/1.jpg"), "{}".to_owned())));
    file(&mut index, "a/broken.wav");
    assert_eq!(held(&index, "a/broken.wav"), Some(Held::Nothing));
    index.forget("c", Path::new("a/1.wav")).expect("forgotten");
    assert_eq!(held(&index, "a/1.wav"), None);
}

#[test]
fn photos_of_a_folder_are_found_by_how_their_names_begin() {
    let index =
        index(&["a/IMG_1.jpg", "a/IMG_10.jpg", "a/IMG_1/x.jpg", "IMG_1.jpg", "b/IMG_1.jpg"]);
    let mut names: Vec<_> = index
        .photos_beginning("c", Path::new("a/IMG_1"))
        .expect("asked")
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    names.sort();
    assert_eq!(names, [Path::new("a/IMG_1.jpg"), Path::new("a/IMG_10.jpg")]);
}

#[test]
fn print_order_names_photos_in_any_case_until_its_file_is_gone() {
    let mut index = index(&["DCIM/100A/Img_1.jpg", "DCIM/100A/IMG_2.JPG", "other/IMG_1.JPG"]);
    let path = Path::new("MISC/AUTPRINT.MRK");
    file(&mut index, "MISC/AUTPRINT.MRK");
    let jobs = marks(&["dcim/100a/IMG_1.JPG", "dcim/100a/IMG_2.JPG", "dcim/100a/IMG_1.JPG"]);
    let changed = index.set_marks("c", path, &jobs).expect("set");
    assert_eq!(changed.len(), 2);
    let photos = index.photos_with_keys("c", Path::new(""), &changed).expect("asked");
    assert_eq!(BTreeSet::from_iter(photos).len(), 2, "the other folder is not named");
    let photo = Path::new("DCIM/100A/Img_1.jpg");
    assert_eq!(index.marks_of("c", photo).expect("asked").len(), 2);
    assert!(index.set_marks("c", path, &jobs).expect("set").is_empty(), "nothing is new");
    let fewer = marks(&["dcim/100a/IMG_1.JPG", "dcim/100a/IMG_2.JPG"]);
    let changed = index.set_marks("c", path, &fewer).expect("set");
    assert_eq!(changed.into_iter().collect::<Vec<_>>(), [path_key(photo)]);

    assert!(index.lost_marks().expect("asked").is_empty());
    index.forget("c", Path::new("MISC")).expect("forgotten");
    assert!(index.marks_of("c", photo).expect("asked").is_empty());
    assert_eq!(index.lost_marks().expect("asked"), [("c".to_owned(), path.to_path_buf())]);
    assert_eq!(index.set_marks("c", path, &[]).expect("set").len(), 2);
    assert!(!index.has_marks("c", path).expect("asked"));
}

#[test]
fn photo_that_may_not_order_is_not_judged_again() {
    let mut index = index(&["a.jpg", "b.jpg"]);
    let held = PhotoRow {
        may_order: false,
        ..index.photo(&hash("b.jpg")).expect("asked").expect("there")
    };
    index.record_photo(&held).expect("recorded");
    assert!(index.judge_again(&hash("a.jpg")).expect("asked"));
    assert!(!index.judge_again(&hash("b.jpg")).expect("asked"));
    assert_eq!(index.photos_to_judge().expect("asked"), [hash("a.jpg")]);
}
