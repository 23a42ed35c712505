//! What `signet icons` prints and exports is read again: every card and sticker of the PDF,
//! every sticker for phones, and the README's picture of the set is of the set as it is.
//!
//! Pages are rendered by `pdftoppm` (poppler-utils), which is nothing of ours; without it
//! those tests say that they were skipped.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    reason = "a test: what fails fails it, and means of bytes are bytes"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use image::{ImageFormat, Rgb, RgbImage, RgbaImage};

use super::common::{Home, program};

/// Resolution at which pages are rendered, and what a millimetre is then.
const DPI: u32 = 100;
const PX_PER_MM: f64 = DPI as f64 / 25.4;

/// Names of all icons, in the order of the set.
fn names(home: &Home) -> Vec<String> {
    let listed = home.run(&["icons", "list", "--json"]).json();
    listed.iter().map(|icon| icon["name"].as_str().expect("a name").to_owned()).collect()
}

/// What was read in each picture of a folder, sorted: names by file name. Any sighting that
/// would not order by itself fails.
fn read(home: &Home, folder: &Path) -> BTreeMap<String, Vec<String>> {
    let folder = folder.to_string_lossy();
    let photos = home.run(&["look", &folder, "--json"]).json();
    let read = photos.iter().map(|photo| {
        let path = Path::new(photo["path"].as_str().expect("a path"));
        let icons = photo["icons"].as_array().expect("icons").iter().map(|icon| {
            assert_eq!(icon["tier"], "order", "{}: {icon}", path.display());
            icon["name"].as_str().expect("a name").to_owned()
        });
        let mut icons: Vec<String> = icons.collect();
        icons.sort();
        (path.file_name().expect("a name").to_string_lossy().into_owned(), icons)
    });
    read.collect()
}

/// Part of a page, in millimetres from the top.
struct Strip {
    page: usize,
    top: f64,
    height: f64,
}

#[test]
fn every_card_and_sticker_of_the_printed_sheet_is_read_and_the_overview_is_not() {
    if !program("pdftoppm") {
        return;
    }
    let home = Home::new();
    let names = names(&home);
    assert_eq!(names.len(), 24);
    for (paper, width_mm, height_mm) in [("a4", 210.0, 297.0), ("letter", 215.9, 279.4)] {
        let pdf = format!("{paper}.pdf");
        let made = home.run(&["icons", "sheet", "--paper", paper, "--out", &pdf, "--json"]).json();
        assert_eq!(made[0]["pages"], 6);
        let mut expected: Vec<(Strip, Vec<String>)> = Vec::new();
        expected.push((Strip { page: 1, top: 0.0, height: height_mm }, Vec::new()));
        // Strips, for a whole page holds as many icons as are looked at in one photo, or more.
        for (index, cards) in names.chunks(4).enumerate() {
            let top = 27.0 + 120.0 * (index % 2) as f64;
            expected.push((Strip { page: 2 + index / 2, top, height: 120.0 }, cards.to_vec()));
        }
        for (index, row) in names.chunks(4).enumerate() {
            let top = 27.0 + 40.0 * index as f64;
            expected.push((Strip { page: 5, top, height: 40.0 }, row.to_vec()));
        }
        for (index, row) in names.chunks(3).enumerate() {
            let top = 27.0 + 30.0 * index as f64;
            let twice = row.iter().flat_map(|name| [name.clone(), name.clone()]).collect();
            expected.push((Strip { page: 6, top, height: 30.0 }, twice));
        }
        let folder = home.path().join(paper);
        std::fs::create_dir(&folder).expect("a folder");
        for (index, (strip, _)) in expected.iter().enumerate() {
            let px = |mm: f64| format!("{:.0}", mm * PX_PER_MM);
            let status = Command::new("pdftoppm")
                .args(["-r", &DPI.to_string(), "-singlefile", "-png"])
                .args(["-f", &strip.page.to_string(), "-l", &strip.page.to_string()])
                .args(["-x", "0", "-y", &px(strip.top), "-W", &px(width_mm)])
                .args(["-H", &px(strip.height)])
                .arg(home.path().join(&pdf))
                .arg(folder.join(format!("{index:02}")))
                .status()
                .expect("pdftoppm");
            assert!(status.success(), "{paper} page {}", strip.page);
        }
        let read = read(&home, &folder);
        assert_eq!(read.len(), expected.len());
        for (index, (strip, mut names)) in expected.into_iter().enumerate() {
            names.sort();
            let found = &read[&format!("{index:02}.png")];
            assert_eq!(*found, names, "{paper} page {} at {} mm", strip.page, strip.top);
        }
    }
}

/// Puts a quarter-size sticker onto a picture, as an editor does.
fn stick(photo: &mut RgbImage, sticker: &RgbaImage, left: u32, top: u32) {
    for y in 0..sticker.height() / 4 {
        for x in 0..sticker.width() / 4 {
            let (mut sum, mut opacity) = ([0.0_f32; 3], 0.0_f32);
            for (dx, dy) in (0..16).map(|i| (i % 4, i / 4)) {
                let pixel = sticker.get_pixel(4 * x + dx, 4 * y + dy).0;
                let alpha = f32::from(pixel[3]) / 255.0 / 16.0;
                opacity += alpha;
                for (sum, channel) in sum.iter_mut().zip(pixel) {
                    *sum += alpha * f32::from(channel);
                }
            }
            let below = photo.get_pixel_mut(left + x, top + y);
            for (channel, sum) in below.0.iter_mut().zip(sum) {
                *channel = (sum + (1.0 - opacity) * f32::from(*channel)).round() as u8;
            }
        }
    }
}

#[test]
fn stickers_for_phones_are_read_on_dark_and_on_light_photos() {
    let home = Home::new();
    let names = names(&home);
    let run = home.run(&["icons", "export", "stickers", "--stickers"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let folder = home.path().join("photos");
    std::fs::create_dir(&folder).expect("a folder");
    let mut expected = BTreeMap::new();
    for (index, names) in names.chunks(6).enumerate() {
        for (light, base) in [("dark", 18), ("light", 205)] {
            let mut photo = RgbImage::from_fn(720, 540, |x, y| {
                let speckle = (x * 7919 + y * 104_729 + x * y % 251) % 31;
                Rgb([base + speckle as u8, base + (speckle / 2) as u8, base + (x % 17) as u8])
            });
            for (place, name) in (0_u32..).zip(names) {
                let path = home.path().join("stickers").join(format!("{name}.png"));
                let bytes = std::fs::read(path).expect("a sticker");
                let sticker = image::load_from_memory_with_format(&bytes, ImageFormat::Png)
                    .expect("a picture")
                    .into_rgba8();
                stick(&mut photo, &sticker, 50 + 220 * (place % 3), 80 + 230 * (place / 3));
            }
            let file = format!("{light}-{index}.png");
            photo.save(folder.join(&file)).expect("a photo");
            let mut names = names.to_vec();
            names.sort();
            expected.insert(file, names);
        }
    }
    assert_eq!(read(&home, &folder), expected);
}

#[test]
fn list_has_groups_for_people_and_one_object_a_line_for_programs() {
    let home = Home::new();
    let listed = home.run(&["icons", "list", "--json"]).json();
    let groups: Vec<&str> = listed.iter().filter_map(|icon| icon["group"].as_str()).collect();
    let count = |group: &str| groups.iter().filter(|&&other| other == group).count();
    assert_eq!(["product", "copies", "addressee", "other"].map(count), [12, 4, 3, 5], "{groups:?}");
    let text = home.run(&["icons", "list"]).stdout;
    for word in ["What you get", "How many", "For whom", "And also", "  do-not-share "] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn wrong_name_of_an_icon_is_refused_with_the_nearest_by_sheet_and_stamp() {
    let home = Home::new();
    home.write("photo.jpg", b"never read");
    for words in [
        &["icons", "sheet", "--icons", "mug,pozter"][..],
        &["icons", "stamp", "photo.jpg", "--icon", "pozter"][..],
    ] {
        let run = home.run(words);
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains("did you mean `poster`?"), "{}", run.stderr);
    }
}

#[test]
fn picture_of_the_set_in_the_readme_shows_the_drawings_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file");
    let picture = text("docs/icon-set.svg");
    let names = names(&Home::new());
    for name in &names {
        let drawing = text(&format!("models/icons/set/{name}.svg"));
        let (_, shapes) = drawing.split_once("</title>").expect("a title");
        let shapes = shapes.trim().trim_end_matches("</svg>").trim();
        assert!(picture.contains(shapes), "{name}: run python3 docs/icon_set.py");
        assert!(picture.contains(&format!(">{name}<")), "{name}");
    }
}
