//! Hot folders of all dialects: what lies where, what our own reader makes of it, what is left
//! after a break, and what is said of it.

use std::cell::Cell;
use std::fs;
use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::base::ids::{ContentHash, derived};
use crate::base::member::Member;
use crate::media::dpof;
use crate::orders::catalogue::{Product, Size};
use crate::orders::parcel::{Line, Sender};
use crate::orders::target::Fate;
use crate::orders::target::handover::Content;
use crate::orders::webhook::MemberMessage;
use crate::store::Purpose;

/// Bytes of a photo, by its name.
fn bytes_of(name: &str) -> Vec<u8> {
    format!("the bytes of {name}").repeat(1000).into_bytes()
}

/// A line that asks for copies of a photo as a product with a code.
pub(in crate::orders::target) fn line(name: &str, copies: u32, code: &str) -> Line {
    let product = Product {
        code: Some(code.to_owned()),
        size: Some(Size { width_mm: 102, height_mm: 152 }),
        finish: Some("glossy".to_owned()),
        ..Product::priced(29)
    };
    let bytes = bytes_of(name);
    let photo = MemberMessage {
        role: Member::Original,
        name: name.to_owned(),
        media_type: "image/jpeg".to_owned(),
        bytes_count: bytes.len() as u64,
        sha256: ContentHash::of(&bytes),
        url: format!("https://ada.example/v1/link/{}", derived("link", &[name])),
        grant: String::new(),
    };
    Line {
        order_key: derived("order", &[name, code, &copies.to_string()]),
        purpose: Purpose::Print,
        product: Some(("print-10x15".to_owned(), product)),
        copies,
        price_minor: 29,
        pixels: None,
        batch: None,
        crop: None,
        members: vec![photo],
        manifest: String::new(),
        receipt_url: String::new(),
        status_url: String::new(),
    }
}

/// A parcel of these lines.
pub(in crate::orders::target) fn parcel(lines: Vec<Line>) -> Parcel {
    let sender = Sender {
        name: "Ada \"Zo\u{eb}\" <Lovelace>\r\n[JOB]".to_owned(),
        address: "mailto:ada@example.org".to_owned(),
        agent_id: "agent".to_owned(),
        key: "key".to_owned(),
    };
    Parcel {
        parcel_key: derived("parcel", &["one"]),
        provider: "lab".to_owned(),
        sender,
        recipient: None,
        addressee: None,
        express: false,
        delivery: None,
        lines,
        currency: "EUR".to_owned(),
        callback_url: String::new(),
        // 2026-11-20 15:00 UTC.
        created_at: Timestamp(1_795_186_800_000),
    }
}

/// Gives out the bytes of photos by their names, and counts.
#[derive(Default)]
pub(in crate::orders::target) struct Shelf {
    opened: Cell<usize>,
    /// What is wrong with every photo.
    mishap: Option<Mishap>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mishap {
    Offline,
    BreaksOff,
    Changed,
    Grew,
}

impl Files for Shelf {
    fn open(&self, _order: &str, member: &MemberMessage) -> io::Result<Box<dyn Read + Send>> {
        self.opened.set(self.opened.get() + 1);
        let mut bytes = bytes_of(&member.name);
        match self.mishap {
            Some(Mishap::Offline) => return Err(io::Error::other("the photo is offline")),
            Some(Mishap::BreaksOff) => bytes.truncate(5000),
            Some(Mishap::Changed) => bytes[7000] ^= 1,
            Some(Mishap::Grew) => bytes.push(0),
            None => {}
        }
        Ok(Box::new(io::Cursor::new(bytes)))
    }
}

/// A lab's folder of a test's own.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn target(&self, dialect: &str, change: &str) -> HotFolder {
        let spec = Spec {
            folder: self.path().to_owned(),
            dialect: dialect.to_owned(),
            change: toml::from_str(change).expect("a table"),
            ..Spec::default()
        };
        spec.check().expect("a spec that makes sense");
        HotFolder::new(&spec)
    }

    /// What a controller sees: paths of all files that are not hidden.
    fn seen(&self) -> Vec<String> {
        self.files().into_iter().filter(|path| !path.starts_with('.')).collect()
    }

    fn files(&self) -> Vec<String> {
        let (mut files, mut folders) = (Vec::new(), vec![self.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let path = path.strip_prefix(self.path()).expect("below");
                    files.push(path.to_str().expect("plain").to_owned());
                }
            }
        }
        files.sort();
        files
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).expect(path)
    }
}

#[test]
fn every_dialect_hands_over_the_photo_byte_for_byte() {
    let parcel = parcel(vec![line("IMG_0412.jpg", 2, "12")]);
    let (key, order) = (&parcel.parcel_key, &parcel.lines[0].order_key);
    let name = format!("IMG_0412-{}.jpg", order.get(..8).expect("a key"));
    for (dialect, photo, others) in [
        (
            "dpof",
            format!("{key}/DCIM/100SIGNT/SGNT0001.JPG"),
            vec![format!("{key}/MISC/AUTPRINT.MRK")],
        ),
        (
            "noritsu",
            format!("o{key}_012/IMAGE/{name}"),
            vec![format!("o{key}_012/MISC/AUTPRINT.MRK")],
        ),
        (
            "epson",
            format!("o{key}_012/IMAGES/{name}"),
            vec![format!("o{key}_012/MISC/AUTPRINT.MRK")],
        ),
        (
            "fuji",
            format!("{key}/{name}"),
            vec![format!("{key}/Condition.txt"), format!("{key}/End.txt")],
        ),
        ("names", format!("2026-11-20/10x15_glossy/2_{name}"), vec![]),
    ] {
        let lab = Lab::new();
        let taken = lab.target(dialect, "").send(&parcel, &Shelf::default()).expect(dialect);
        let mut wanted = others;
        wanted.push(photo.clone());
        wanted.sort();
        assert_eq!(lab.seen(), wanted, "{dialect}");
        assert_eq!(fs::read(lab.path().join(photo)).expect("the photo"), bytes_of("IMG_0412.jpg"));
        let state = if dialect == "noritsu" { OrderState::Accepted } else { OrderState::Done };
        assert_eq!(
            (taken.remote.as_str(), taken.progress.state),
            (key.as_str(), state),
            "{dialect}"
        );
        let left = lab.files().into_iter().filter(|path| path.starts_with('.'));
        assert_eq!(left.collect::<Vec<_>>(), [format!(".signet/{key}.json")], "{dialect}");
    }
}

#[test]
fn control_file_of_noritsu_is_written_line_by_line() {
    let lab = Lab::new();
    let parcel = parcel(vec![line("IMG_0412.jpg", 2, "12")]);
    lab.target("noritsu", "").send(&parcel, &Shelf::default()).expect("taken");
    let key = &parcel.parcel_key;
    let name = format!("IMG_0412-{}.jpg", parcel.lines[0].order_key.get(..8).expect("a key"));
    let wanted = [
        "[HDR]",
        "GEN REV = 01.10",
        "GEN CRT = \"NORITSU KOKI\" -01.10",
        "GEN DTM = 2026:11:20:15:00:00",
        // The owner's name cannot end its line or its quotes.
        "USR NAM = \"Ada 'Zoe' Lovelace  JOB\"",
        &format!("USR CID = \"{key}\""),
        "AUTO CORRECT = 0",
        "VUQ RGN = BGN",
        "VUQ VNM = \"NORITSU KOKI\" -ATR \"QSSPrint\"",
        "VUQ VER = 01.00",
        "PRT PSL = NML -PSIZE \"4x6\"",
        "PRT PCH = 012",
        "GEN INP = \"OTHER\"",
        "VUQ RGN = END",
        "",
        "[JOB]",
        "PRT PID = 001",
        "PRT TYP = STD",
        "PRT QTY = 002",
        "IMG FMT = EXIF2 -J",
        &format!("<IMG SRC = \"../IMAGE/{name}\">"),
        "VUQ RGN = BGN",
        "VUQ VNM = \"NORITSU KOKI\" -ATR \"QSSPrint\"",
        "VUQ VER = 01.00",
        &format!("PRT CVP1 = 1 -STR \"{key} 1\""),
        &format!("IMG ORG = \"{name}\""),
        "VUQ RGN = END",
        "",
    ];
    assert_eq!(lab.text(&format!("o{key}_012/MISC/AUTPRINT.MRK")), wanted.join("\r\n"));
}

#[test]
fn control_file_of_fuji_is_written_line_by_line() {
    let lab = Lab::new();
    let parcel = parcel(vec![line("a.jpg", 1, "10X15"), line("b.jpg", 3, "13X18")]);
    let change = "[words]\nresize = \"FITIN\"\nback_1 = \"%owner%\"\nback_2 = \"50%%\"";
    lab.target("fuji", change).send(&parcel, &Shelf::default()).expect("taken");
    let key = &parcel.parcel_key;
    let name = |index: usize| {
        let stem = ["a", "b"][index];
        format!("{stem}-{}.jpg", parcel.lines[index].order_key.get(..8).expect("a key"))
    };
    let image = |index: usize, size: &str, count: u32| {
        format!(
            "[{}]\r\nSizeName={size}\r\nPrintCnt={count}\r\nBackPrint=FREE\r\n\
             BackPrintLine1=Ada 'Zoe' Lovelace  JOB\r\nBackPrintLine2=50%\r\nResize=FITIN\r\n\
             DSC_Chk=FALSE\r\n",
            name(index)
        )
    };
    let wanted = format!(
        "[OutDevice]\r\nDeviceName=PICsRGB\r\n[ImageList]\r\nImageCnt=2\r\n1={}\r\n2={}\r\n{}{}",
        name(0),
        name(1),
        image(0, "10X15", 1),
        image(1, "13X18", 3)
    );
    assert_eq!(lab.text(&format!("{key}/Condition.txt")), wanted);
    assert_eq!(lab.text(&format!("{key}/End.txt")), "");
}

#[test]
fn orders_of_a_parcel_get_a_folder_for_each_channel() {
    let lab = Lab::new();
    let lines = [("a.jpg", 1, "2"), ("b.jpg", 2, "12"), ("c.jpg", 3, "2")];
    let parcel = parcel(lines.map(|(name, copies, code)| line(name, copies, code)).to_vec());
    lab.target("noritsu", "").send(&parcel, &Shelf::default()).expect("taken");
    for (channel, wanted) in [(2, vec![1, 3]), (12, vec![2])] {
        let path = format!("o{}_{channel:03}/MISC/AUTPRINT.MRK", parcel.parcel_key);
        let marks = dpof::parse(lab.text(&path).as_bytes(), None);
        let copies: Vec<u16> = marks.jobs.iter().map(|job| job.copies).collect();
        assert_eq!(copies, wanted, "{channel}");
    }
    assert_eq!(lab.seen().len(), 5);
}

#[test]
fn what_a_dialect_cannot_carry_is_refused_with_the_cure() {
    let good = || line("a.jpg", 1, "12");
    let heic = {
        let mut line = good();
        line.members[0].media_type = "image/heic".to_owned();
        line
    };
    let shared = Line { product: None, ..good() };
    let unfinished = {
        let mut line = good();
        line.product = Some(("print".to_owned(), Product::priced(1)));
        line
    };
    for (dialect, change, lines, words) in [
        ("noritsu", "", vec![line("a.jpg", 1, "GLOBAL-4X6")], "write `code = \"12\"`"),
        ("noritsu", "", vec![line("a.jpg", 1, "1000")], "from 1 to 999"),
        ("noritsu", "", vec![heic], "takes image/jpeg and image/tiff only"),
        ("noritsu", "", vec![shared], "orders for products"),
        ("noritsu", "", vec![line("a.jpg", 1000, "12")], "more than 999"),
        (
            "noritsu",
            "layout = \"o%parcel%/IMAGE/%name%.%ext%\"",
            vec![good(), line("b.jpg", 1, "13")],
            "differ in what its control file says",
        ),
        ("dpof", "layout = \"%parcel%/%size%/%name%.%ext%\"", vec![good(), good()], "same name"),
        ("names", "", vec![unfinished], "`%size%_%finish%`: give it `size_mm`"),
    ] {
        let lab = Lab::new();
        let error = lab.target(dialect, change).send(&parcel(lines), &Shelf::default());
        let error = error.expect_err(words);
        assert!(error.why.contains(words), "{}", error.why);
        assert_eq!(error.fate, Fate::Refused, "{words}");
        assert!(lab.files().is_empty(), "{words}");
    }
}

#[test]
fn photo_that_cannot_be_copied_whole_leaves_nothing_behind() {
    for mishap in [Mishap::Offline, Mishap::BreaksOff, Mishap::Changed, Mishap::Grew] {
        let lab = Lab::new();
        let parcel = parcel(vec![line("a.jpg", 1, "12")]);
        let target = lab.target("noritsu", "");
        let broken = Shelf { mishap: Some(mishap), ..Shelf::default() };
        let error = target.send(&parcel, &broken).expect_err("a setback");
        assert_eq!(error.fate, Fate::NotTaken, "{}", error.why);
        assert!(lab.files().is_empty(), "{:?}", lab.files());
        assert_eq!(target.find(&parcel), Ok(Search::SendAgain));
        target.send(&parcel, &Shelf::default()).expect("taken the next time");
        assert_eq!(lab.seen().len(), 2);
    }
}

#[test]
fn folder_that_is_missing_is_not_made() {
    let lab = Lab::new();
    let parcel = parcel(vec![line("a.jpg", 1, "12")]);
    let spec = |name: &str, landmark: Option<&str>| Spec {
        folder: lab.path().join(name),
        dialect: "noritsu".to_owned(),
        landmark: landmark.map(str::to_owned),
        ..Spec::default()
    };
    fs::create_dir(lab.path().join("empty")).expect("made");
    for spec in [spec("share", None), spec("empty", Some("QSS.ini"))] {
        let target = HotFolder::new(&spec);
        let error = target.send(&parcel, &Shelf::default()).expect_err("a setback");
        assert!(error.why.contains("mount"), "{}", error.why);
        assert_eq!(error.fate, Fate::Away);
        // Whether a lab has it cannot be told without its folder.
        assert_eq!(target.find(&parcel).expect_err("a setback").fate, Fate::Unknown);
        target.follow(&parcel.parcel_key, "").expect_err("a setback");
    }
    assert!(lab.files().is_empty() && !lab.path().join("share").exists());
}

#[test]
fn break_at_any_moment_hands_over_the_rest_and_nothing_twice() {
    let lines = || vec![line("a.jpg", 1, "2"), line("b.jpg", 2, "12"), line("c.jpg", 3, "7")];
    for dialect in ["noritsu", "fuji", "names"] {
        let parcel = parcel(lines());
        let whole = Lab::new();
        whole.target(dialect, "").send(&parcel, &Shelf::default()).expect("taken");
        let record: Record =
            serde_json::from_str(&whole.text(&format!(".signet/{}.json", parcel.parcel_key)))
                .expect("a record");
        let moments = (0..=record.places.len()).flat_map(|moved| [(moved, false), (moved, true)]);
        for (moved, by_find) in moments {
            // As a crash leaves it after so many moves: the others are still on the desk.
            let lab = Lab::new();
            let target = lab.target(dialect, "");
            target.send(&parcel, &Shelf::default()).expect("taken");
            let desk = lab.path().join(".signet").join(&parcel.parcel_key);
            fs::create_dir(&desk).expect("made");
            for (index, place) in record.places.iter().enumerate().skip(moved).rev() {
                fs::rename(lab.path().join(place), desk.join(index.to_string())).expect("back");
            }
            // What was moved the lab may have taken already.
            for place in record.places.iter().take(moved).filter(|_| dialect != "fuji") {
                let place = lab.path().join(place);
                if place.is_dir() { fs::remove_dir_all(place) } else { fs::remove_file(place) }
                    .expect("taken away");
            }
            let shelf = Shelf::default();
            if by_find {
                let found = matches!(target.find(&parcel), Ok(Search::Found(_)));
                assert_eq!(found, moved > 0, "{dialect} {moved}");
            }
            target.send(&parcel, &shelf).expect("taken");
            let read = if moved == 0 { 3 } else { 0 };
            assert_eq!(shelf.opened.get(), read, "{dialect} {moved}: photos that were read again");
            let is_there = |place: &&PathBuf| lab.path().join(place).exists();
            let there = record.places.iter().filter(is_there).count();
            let wanted = record.places.len() - if dialect == "fuji" { 0 } else { moved };
            assert_eq!(there, wanted, "{dialect} {moved}");
            assert!(matches!(target.find(&parcel), Ok(Search::Found(_))), "{dialect} {moved}");
        }
    }
}

#[test]
fn half_a_parcel_on_the_desk_is_swept_and_written_anew() {
    let lab = Lab::new();
    let parcel = parcel(vec![line("a.jpg", 1, "12")]);
    let target = lab.target("noritsu", "");
    let half = lab.path().join(".signet").join(&parcel.parcel_key).join("0/IMAGE");
    fs::create_dir_all(&half).expect("made");
    fs::write(half.join("a.jpg"), b"the by").expect("written");
    assert_eq!(target.find(&parcel), Ok(Search::SendAgain));
    target.send(&parcel, &Shelf::default()).expect("taken");
    assert_eq!(lab.seen().len(), 2, "{:?}", lab.seen());
}

#[test]
fn parcel_that_was_handed_over_is_found_even_without_its_record() {
    let parcel = parcel(vec![line("a.jpg", 1, "12")]);
    for renamed in [false, true] {
        let lab = Lab::new();
        let target = lab.target("noritsu", "");
        target.send(&parcel, &Shelf::default()).expect("taken");
        fs::remove_dir_all(lab.path().join(".signet")).expect("removed");
        if renamed {
            let name = format!("{}_012", parcel.parcel_key);
            let (from, to) = (format!("o{name}"), format!("e{name}"));
            fs::rename(lab.path().join(from), lab.path().join(to)).expect("renamed");
        } else {
            let error = target.send(&parcel, &Shelf::default()).expect_err("a setback");
            assert_eq!(error.fate, Fate::Unknown, "{}", error.why);
        }
        assert!(matches!(target.find(&parcel), Ok(Search::Found(_))), "{renamed}");
    }
}

#[test]
fn what_is_in_the_way_is_not_written_over() {
    let parcel = parcel(vec![line("a.jpg", 1, "12")]);
    let lab = Lab::new();
    // The lab's own file where a folder of ours should go, and a link that leads elsewhere.
    fs::write(lab.path().join("2026-11-20"), b"notes").expect("written");
    let error = lab.target("names", "").send(&parcel, &Shelf::default()).expect_err("a setback");
    assert_eq!(error.fate, Fate::NotTaken, "{}", error.why);
    assert_eq!(lab.text("2026-11-20"), "notes");
    fs::remove_file(lab.path().join("2026-11-20")).expect("removed");
    let elsewhere = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(elsewhere.path(), lab.path().join("2026-11-20")).expect("linked");
    let error = lab.target("names", "").send(&parcel, &Shelf::default()).expect_err("a setback");
    assert!(error.why.contains("is no folder"), "{}", error.why);
    assert_eq!(fs::read_dir(elsewhere.path()).expect("a folder").count(), 0);
    fs::remove_file(lab.path().join("2026-11-20")).expect("removed");
    lab.target("names", "").send(&parcel, &Shelf::default()).expect("taken");
    assert_eq!(lab.seen().len(), 1);
}

#[test]
fn folder_is_followed_as_far_as_it_can_be_seen() {
    let lab = Lab::new();
    let parcel = parcel(vec![line("a.jpg", 1, "2"), line("b.jpg", 2, "12")]);
    let (key, target) = (&parcel.parcel_key, lab.target("noritsu", ""));
    target.send(&parcel, &Shelf::default()).expect("taken");
    let state = || target.follow(key, key).expect("progress");
    let rename = |from: &str, to: &str| {
        fs::rename(lab.path().join(from), lab.path().join(to)).expect("renamed");
    };
    assert_eq!((state().state, state().look_again_s), (OrderState::Accepted, Some(5)));
    rename(&format!("o{key}_002"), &format!("e{key}_002"));
    assert_eq!(state().state, OrderState::Production);
    rename(&format!("o{key}_012"), &format!("e{key}_012"));
    assert_eq!((state().state, state().look_again_s), (OrderState::Done, None));
    assert!(state().note.contains("done with it"));
    fs::remove_dir_all(lab.path().join(format!("e{key}_012"))).expect("removed");
    assert!(state().note.contains("tells nothing more"), "{}", state().note);
}

#[test]
fn sentinel_that_is_gone_tells_that_the_folder_was_taken() {
    let lab = Lab::new();
    let parcel = parcel(vec![line("a.jpg", 1, "10X15")]);
    let (key, target) = (&parcel.parcel_key, lab.target("fuji", "follow = \"taken\""));
    target.send(&parcel, &Shelf::default()).expect("taken");
    assert_eq!(target.follow(key, key).expect("progress").state, OrderState::Accepted);
    fs::remove_file(lab.path().join(key).join("End.txt")).expect("removed");
    assert_eq!(target.follow(key, key).expect("progress").state, OrderState::Done);
}

#[test]
fn record_that_is_damaged_or_leads_elsewhere_stops_and_says_so() {
    let lab = Lab::new();
    let parcel = parcel(vec![line("a.jpg", 1, "12")]);
    let target = lab.target("noritsu", "");
    target.send(&parcel, &Shelf::default()).expect("taken");
    let record = lab.path().join(".signet").join(format!("{}.json", parcel.parcel_key));
    for text in
        ["", "{", "[]", "{\"places\":[\"../x\"]}", "{\"places\":[\"/etc\"]}", "{\"places\":[\"\"]}"]
    {
        fs::write(&record, text).expect("written");
        let error = target.find(&parcel).expect_err(text);
        assert!(error.fate == Fate::Unknown && error.why.contains("ask the lab"), "{}", error.why);
        target.send(&parcel, &Shelf::default()).expect_err(text);
    }
}

#[test]
fn companions_that_stay_at_home_are_named() {
    let mut line = line("a.jpg", 1, "12");
    line.members.push(MemberMessage { role: Member::VoiceMemo, ..line.members[0].clone() });
    let lab = Lab::new();
    let taken = lab.target("noritsu", "").send(&parcel(vec![line]), &Shelf::default());
    let note = taken.expect("taken").progress.note;
    assert!(note.contains("no companions, 1 stayed at home"), "{note}");
}

/// What a Fuji controller reads of a `Condition.txt`: name, size and count of each picture.
/// Written from the format's description, strict where that says something.
fn read_condition(text: &str) -> Vec<(String, String, u32)> {
    let mut sections: Vec<(&str, BTreeMap<&str, &str>)> = Vec::new();
    for line in text.split_terminator("\r\n") {
        assert!(line.is_ascii() && !line.contains(['\r', '\n']), "{line:?}");
        if let Some(name) = line.strip_prefix('[') {
            sections.push((name.strip_suffix(']').expect("a bracket"), BTreeMap::new()));
        } else {
            let (key, value) = line.split_once('=').expect("a value");
            let section = &mut sections.last_mut().expect("a section").1;
            assert!(section.insert(key, value).is_none(), "{key} twice");
        }
    }
    assert_eq!((sections[0].0, sections[1].0), ("OutDevice", "ImageList"));
    let list = &sections[1].1;
    let count: usize = list["ImageCnt"].parse().expect("a number");
    assert_eq!((list.len(), sections.len()), (count + 1, count + 2));
    let picture = |number: usize| {
        let name = list[number.to_string().as_str()];
        let section = &sections.iter().find(|(other, _)| *other == name).expect("its section").1;
        (
            name.to_owned(),
            section["SizeName"].to_owned(),
            section["PrintCnt"].parse().expect("a count"),
        )
    };
    (1..=count).map(picture).collect()
}

/// The files of a parcel, as [`layout::pieces`] has them: by path, words or a photo's digest.
fn files_of(
    dialect: &str,
    change: &str,
    parcel: &Parcel,
) -> Result<BTreeMap<PathBuf, File>, Setback> {
    let dialect = Dialect::read(dialect, &toml::from_str(change).expect("a table"));
    let dialect = dialect.expect("a dialect");
    let mut files = BTreeMap::new();
    for piece in layout::pieces(&dialect, parcel)? {
        for entry in piece.entries {
            let file = match entry.content {
                Content::Text(text) => File::Words(text),
                Content::Member { member, .. } => File::Photo(member.sha256),
            };
            let path = match entry.path.as_os_str().is_empty() {
                true => piece.place.clone(),
                false => piece.place.join(&entry.path),
            };
            assert!(files.insert(path, file).is_none(), "two files of one name");
        }
    }
    Ok(files)
}

#[derive(Debug, PartialEq)]
enum File {
    Words(String),
    Photo(ContentHash),
}

/// Orders with names from anywhere, copies and codes; keys differ as they do in life.
fn any_parcel(orders: &[(String, u32, String)], owner: &str, addressee: &str) -> Parcel {
    let lines = orders.iter().enumerate().map(|(index, (name, copies, code))| {
        let order_key = derived("order", &[&index.to_string()]);
        Line { order_key, ..line(name, *copies, code) }
    });
    let mut parcel = parcel(lines.collect());
    parcel.sender.name = owner.to_owned();
    parcel.addressee = Some(addressee.to_owned());
    parcel
}

proptest! {
    #[test]
    fn whatever_photos_are_called_our_own_reader_reads_the_same_order(
        orders in proptest::collection::vec((".{0,60}", 1_u32..=999, "[1-9][0-9]{0,2}"), 1..6),
        owner in ".{0,200}",
    ) {
        let parcel = any_parcel(&orders, &owner, "");
        for dialect in ["dpof", "noritsu", "epson"] {
            let files = files_of(dialect, "", &parcel).expect("files");
            let mut read = Vec::new();
            for (path, file) in &files {
                let File::Words(text) = file else { continue };
                prop_assert!(text.is_ascii());
                let marks = dpof::parse(text.as_bytes(), None);
                prop_assert!(marks.notes.is_empty(), "{:?}", marks.notes);
                let made_at = marks.made_at.map(|at| at.to_string());
                prop_assert_eq!(made_at.as_deref(), Some("2026-11-20T15:00:00"));
                let channel = text.lines().find_map(|line| line.strip_prefix("PRT PCH = "));
                let channel = channel.map(str::to_owned);
                for job in marks.jobs {
                    prop_assert_eq!(job.images.len(), 1);
                    let folder = path.parent().expect("a folder");
                    let image = dpof::resolve(folder, &job.images[0]).expect("a path below it");
                    let File::Photo(digest) = &files[&image] else { panic!("no photo") };
                    read.push((*digest, u32::from(job.copies), channel.clone()));
                }
            }
            let mut wanted: Vec<_> = orders.iter().map(|(name, copies, code)| {
                let channel = (dialect != "dpof").then(|| format!("{code:0>3}"));
                (ContentHash::of(&bytes_of(name)), *copies, channel)
            }).collect();
            read.sort();
            wanted.sort();
            prop_assert_eq!(read, wanted);
        }
    }

    #[test]
    fn whatever_photos_are_called_fuji_reads_the_same_order(
        orders in proptest::collection::vec((".{0,60}", 1_u32..=999, "[0-9X]{1,8}"), 1..6),
        owner in ".{0,200}",
        addressee in ".{0,60}",
    ) {
        let parcel = any_parcel(&orders, &owner, &addressee);
        let change = "[words]\nback_1 = \"%owner%\"\nback_2 = \"%addressee%\"";
        let files = files_of("fuji", change, &parcel).expect("files");
        let folder = Path::new(&parcel.parcel_key);
        let File::Words(text) = &files[&folder.join("Condition.txt")] else { panic!("no words") };
        let read = read_condition(text);
        prop_assert_eq!(read.len(), orders.len());
        for ((file, size, count), (name, copies, code)) in read.into_iter().zip(&orders) {
            let photo = File::Photo(ContentHash::of(&bytes_of(name)));
            prop_assert_eq!(&files[&folder.join(file)], &photo);
            prop_assert_eq!((size, count), (code.clone(), *copies));
        }
    }

    #[test]
    fn names_of_any_folder_stay_below_it_and_fit_every_system(
        orders in proptest::collection::vec((".{0,60}", 1_u32..=999, ".{1,40}"), 1..6),
        addressee in ".{0,60}",
    ) {
        let parcel = any_parcel(&orders, "Ada", &addressee);
        let layout = "layout = \"%addressee%/%code%/%name%.%ext%\"";
        let Ok(files) = files_of("names", layout, &parcel) else { return Ok(()) };
        prop_assert_eq!(files.len(), orders.len());
        for path in files.keys() {
            prop_assert_eq!(path.components().count(), 3, "{:?}", path);
            for part in path.components() {
                let std::path::Component::Normal(name) = part else { panic!("{part:?}") };
                let name = name.to_str().expect("plain");
                prop_assert!(name.is_ascii() && name.len() < 128 && !name.starts_with('.'));
                prop_assert!(!name.ends_with('.') && !name.contains(['\\', '/', ':', ' ', '%']));
            }
        }
    }
}
