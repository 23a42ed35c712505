//! Print orders as real writers leave them, and as nobody should.

use proptest::prelude::*;

use super::*;

/// The shape that the standard gives, with a changed or added line.
fn order(lines: &[&str]) -> String {
    let mut text = String::from(
        "[HDR]\r\nGEN REV = 01.10\r\nGEN CRT = \"maker\" -01.00\r\n\
         GEN DTM = 2026:11:20:15:00:00\r\n\r\n[JOB]\r\n",
    );
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text
}

fn read(text: &str) -> PrintMarks {
    parse(text.as_bytes(), None)
}

const JOB: [&str; 5] = [
    "PRT PID = 001",
    "PRT TYP = STD",
    "PRT QTY = 002",
    "IMG FMT = EXIF2 -J",
    "<IMG SRC = \"../DCIM/100ORDER/IMG_0001.JPG\">",
];

fn plain_job() -> PrintJob {
    PrintJob {
        id: Some(1),
        kind: PrintKind::Standard,
        copies: 2,
        paper: None,
        channel: None,
        images: vec!["../DCIM/100ORDER/IMG_0001.JPG".to_owned()],
        caption: None,
        rotation_degrees: None,
        trim: None,
    }
}

#[test]
fn order_of_the_standard_is_read_whole() {
    let mut lines = JOB.to_vec();
    lines.push("CFG DSC = \"2026.11.20\" -ATR DTM");
    let marks = read(&order(&lines));
    assert_eq!(marks.creator.as_deref(), Some("maker"));
    assert_eq!(marks.made_at.map(|at| at.to_string()).as_deref(), Some("2026-11-20T15:00:00"));
    assert_eq!(marks.jobs, [PrintJob { caption: Some("2026.11.20".to_owned()), ..plain_job() }]);
    assert!(marks.notes.is_empty(), "{:?}", marks.notes);
}

#[test]
fn mistakes_of_real_writers_change_nothing() {
    let text = order(&JOB);
    for wrong in [
        text.replace("\r\n", "\n"),
        text.replace(" = ", "="),
        text.replace(" = ", "  =  "),
        text.to_ascii_lowercase()
            .replace("../dcim/100order/img_0001.jpg", "../DCIM/100ORDER/IMG_0001.JPG"),
        text.replace("\r\n", "   \t\r\n"),
        text.replace(['<', '>'], ""),
        text.replace("PRT QTY", "PTR QTY"),
        text.replace("EXIF2 -J", "EXIF2J -J"),
        text.replace("IMG FMT = EXIF2 -J\r\n", ""),
        text.replace("../DCIM/100ORDER/", "..\\DCIM\\100ORDER\\"),
        text.replace("\"../DCIM/100ORDER/IMG_0001.JPG\"", "../DCIM/100ORDER/IMG_0001.JPG"),
        text.replace("-01.00", ""),
        text.replace("[JOB]", "[ job ]"),
        text.clone() + "\u{1A}\0\0\0",
        format!("\u{FEFF}{text}"),
    ] {
        let marks = read(&wrong);
        assert_eq!(marks.jobs, [plain_job()], "{wrong}");
        assert_eq!(marks.creator.as_deref(), Some("maker"), "{wrong}");
        assert!(marks.notes.is_empty(), "{:?}: {wrong}", marks.notes);
    }
}

#[test]
fn bare_name_of_a_camera_is_its_creator() {
    for header in ["SONY CYBERSHOT", "GEN CRT = SONY CYBERSHOT", "GEN CRT = \"SONY CYBERSHOT\""] {
        let text = format!("[HDR]\n{header}\n[JOB]\n{}", JOB.join("\n"));
        let marks = read(&text);
        assert_eq!(marks.creator.as_deref(), Some("SONY CYBERSHOT"), "{header}");
        assert_eq!(marks.jobs, [plain_job()], "{header}");
    }
}

#[test]
fn kinds_of_prints_are_told_apart() {
    for (value, kind) in [
        ("STD", PrintKind::Standard),
        ("IDX", PrintKind::Index),
        ("MUL -04", PrintKind::Multiple(4)),
        ("SIZ -00", PrintKind::Sized(PrintSize::Any)),
        ("SIZ -05", PrintKind::Sized(PrintSize::Class(5))),
        ("SIZ -99 0150", PrintKind::Sized(PrintSize::Millimetres(150))),
    ] {
        let text = order(&JOB).replace("STD", value);
        assert_eq!(read(&text).jobs, [PrintJob { kind, ..plain_job() }], "{value}");
    }
    for value in ["MUL -01", "MUL", "SIZ -13", "SIZ -99", "SIZ -99 0", "LARGE", ""] {
        let marks = read(&order(&JOB).replace("STD", value));
        assert!(marks.jobs.is_empty(), "{value}");
        assert_eq!(marks.notes.len(), 1, "{value}");
    }
}

#[test]
fn copies_that_are_not_clear_are_not_printed() {
    for (value, copies) in [("001", 1), ("7", 7), ("999", 999)] {
        let text = order(&JOB).replace("002", value);
        assert_eq!(read(&text).jobs, [PrintJob { copies, ..plain_job() }], "{value}");
    }
    for value in ["000", "1000", "70000", "-1", "many", ""] {
        let marks = read(&order(&JOB).replace("002", value));
        assert!(marks.jobs.is_empty() && marks.notes.len() == 1, "{value}: {marks:?}");
    }
    let none = order(&JOB).replace("PRT QTY = 002\r\n", "");
    assert_eq!(read(&none).jobs, [PrintJob { copies: 1, ..plain_job() }]);
}

#[test]
fn vendors_regions_give_product_and_paper_and_no_picture_twice() {
    let text = "[HDR]\r\nGEN REV=01.00\r\nGEN CRT=\"NORITSU KOKI\" -01.10\r\n\
        USR NAM=\"Zo\u{eb}\"\r\nUSR CID=\"4711\"\r\nVUQ RGN=BGN\r\n\
        VUQ VNM=\"NORITSU KOKI\" -ATR \"QSSPrint\"\r\nVUQ VER=01.00\r\n\
        PRT PSL=NML -PSIZE \"4x6\"\r\nPRT PCH=002\r\nGEN INP=\"Other-M\"\r\nVUQ RGN=END\r\n\
        [JOB]\r\nPRT PID=003\r\nPRT TYP=STD\r\nPRT QTY=010\r\nIMG FMT=EXIF2 -J\r\n\
        <IMG SRC=\"../IMAGE/a.jpg\">\r\nVUQ RGN=BGN\r\nVUQ VNM=\"SEIKO EPSON\" -ATR \"Print Info\"\r\n\
        VUQ VER=01.00\r\nPRT PSL = NML -PSIZE \"4x6\"\r\nPRT PCH=012\r\nPRT CVP1=1 -STR \"line 1\"\r\n\
        IMG SRC=\"../IMAGE/a.jpg\"\r\nIMG ORG=\"orig.jpg\"\r\nVUQ RGN=END\r\n";
    let marks = read(text);
    assert_eq!(marks.user.as_deref(), Some("Zo\u{eb}"));
    assert_eq!(marks.order_id.as_deref(), Some("4711"));
    let wanted = PrintJob {
        id: Some(3),
        copies: 10,
        paper: Some("4x6".to_owned()),
        channel: Some(12),
        images: vec!["../IMAGE/a.jpg".to_owned()],
        ..plain_job()
    };
    assert_eq!(marks.jobs, [wanted]);
    assert!(marks.notes.is_empty(), "{:?}", marks.notes);
}

#[test]
fn index_print_names_many_pictures() {
    let text = order(&[
        "PRT PID = 100",
        "PRT TYP = IDX",
        "IMG FMT = EXIF2 -J",
        "<IMG SRC = \"../DCIM/100A/A0000001.JPG\">",
        "IMG FMT = JFIF",
        "<IMG SRC = \"../DCIM/100A/A0000002.JPG\">",
        "CFG ROT = 90",
        "CFG TRM = 0, 0, 100, 100",
    ]);
    let jobs = read(&text).jobs;
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].kind, jobs[0].copies, jobs[0].images.len()), (PrintKind::Index, 1, 2));
    assert_eq!(jobs[0].rotation_degrees, Some(90));
    assert_eq!(jobs[0].trim.as_deref(), Some("0, 0, 100, 100"));
}

#[test]
fn name_in_another_script_is_read_from_its_file() {
    let text = order(&JOB).replace("[JOB]", "USR UNM = NM1, NM2\r\n[JOB]");
    let names = "[HDR]\r\nNM1 = \"Zo\u{eb}\"\r\nNM2=\"\u{5c71}\u{7530}\"\r\n";
    let little: Vec<u8> = names.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> =
        [0xFE, 0xFF].into_iter().chain(names.encode_utf16().flat_map(u16::to_be_bytes)).collect();
    for unicode in [little, big] {
        let marks = parse(text.as_bytes(), Some(&unicode));
        assert_eq!(marks.user.as_deref(), Some("Zo\u{eb} \u{5c71}\u{7530}"));
    }
    assert_eq!(read(&text).user, None);
}

#[test]
fn paths_stay_below_the_root() {
    for (folder, image, wanted) in [
        ("MISC", "../DCIM/100A/A.JPG", Some("DCIM/100A/A.JPG")),
        ("card/MISC", "../DCIM/A.JPG", Some("card/DCIM/A.JPG")),
        ("", "./IMAGE/a.jpg", Some("IMAGE/a.jpg")),
        ("MISC", "../../etc/passwd", None),
        ("", "../a.jpg", None),
        ("MISC", "/etc/passwd", None),
        ("MISC", "..", None),
    ] {
        let wanted = wanted.map(PathBuf::from);
        assert_eq!(resolve(Path::new(folder), image), wanted, "{folder} {image}");
    }
    assert!(is_same_path(Path::new("dcim/a.jpg"), Path::new("DCIM/A.JPG")));
}

#[test]
fn jobs_and_pictures_are_bounded() {
    let many = "[JOB]\nPRT TYP = STD\nIMG SRC = \"a.jpg\"\n".repeat(JOBS_MAX + 5);
    let marks = read(&many);
    assert_eq!(marks.jobs.len(), JOBS_MAX);
    assert_eq!(marks.notes.len(), 1);
    let marks = read(&("[JOB]\n".to_owned() + &"IMG SRC=a\n".repeat(IMAGES_MAX + 5)));
    assert!(marks.jobs.iter().map(|job| job.images.len()).sum::<usize>() == IMAGES_MAX);
    assert_eq!(read(&"what\n".repeat(5000)).notes.len(), NOTES_MAX);
}

proptest! {
    #[test]
    fn any_lines_are_survived_and_give_sound_jobs(
        lines in proptest::collection::vec(
            "(\\[JOB\\]|\\[HDR\\]|<?(PRT QTY|PRT TYP|IMG SRC|PRT PID|VUQ RGN|PRT PSL|CFG ROT) ?= ?[ -~]{0,20}>?|[ -~]{0,30})",
            0..40,
        ),
        unicode in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let marks = parse(lines.join("\n").as_bytes(), Some(&unicode));
        for job in &marks.jobs {
            prop_assert!((1..=COPIES_MAX).contains(&job.copies));
            prop_assert!(!job.images.is_empty());
            prop_assert!(job.id.is_none_or(|id| (1..=999).contains(&id)));
            for image in &job.images {
                let below = resolve(Path::new("MISC"), image);
                prop_assert!(below.is_none_or(|path| path.is_relative()
                    && path.components().all(|part| matches!(part, Component::Normal(_)))));
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _whatever = parse(&bytes, Some(&bytes));
    }
}
