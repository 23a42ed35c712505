//! What a photo is good enough for, and what is asked.

use super::*;
use crate::base::ids::ContentHash;

const PIXELS: (u32, u32) = (3000, 2250);

fn product(size_mm: [u32; 2]) -> Product {
    Product { size: Some(size_mm.into()), ..Product::priced(29) }
}

fn photo(pixels: Option<(u32, u32)>, marks: &[Mark]) -> Photo {
    Photo {
        hash: ContentHash::of(b"p"),
        collection: "c".into(),
        relative: "p.jpg".into(),
        companions: [].into(),
        missing: Vec::new(),
        people: Vec::new(),
        pixels,
        marks: marks.to_vec(),
    }
}

fn face(x: u32, y: u32) -> Mark {
    let part = Crop { x, y, width: 200, height: 200 };
    Mark::Face { part }
}

fn icon(x: u32, y: u32, is_sure: bool) -> Mark {
    let part = Crop { x, y, width: 200, height: 200 };
    let card = Crop { x: x.saturating_sub(50), y: y.saturating_sub(50), width: 500, height: 300 };
    Mark::Icon { name: "mug".to_owned(), is_sure, part, card }
}

fn products() -> BTreeMap<String, Product> {
    [
        ("print-10x15", product([102, 152])),
        ("print-13x18", product([127, 178])),
        ("print-20x30", product([203, 305])),
        ("poster", product([500, 700])),
        ("mug", Product::priced(1290)),
    ]
    .map(|(name, product)| (name.to_owned(), product))
    .into()
}

fn fit(photo: &Photo, name: &str, tells_crop: bool, remove_icon: bool) -> Fit {
    Fitting { photo, products: &products(), tells_crop, remove_icon }.fit(name)
}

/// What is asked, and the crop, of one product at a provider that can be told a crop.
#[track_caller]
fn check(marks: &[Mark], name: &str, remove_icon: bool, crop: Option<Crop>, doubts: &[&str]) {
    let fit = fit(&photo(Some(PIXELS), marks), name, true, remove_icon);
    assert_eq!((fit.crop, fit.doubts), (crop, doubts.iter().map(ToString::to_string).collect()));
}

#[test]
fn photo_with_too_few_pixels_asks_and_names_what_it_would_do_for() {
    check(&[], "print-10x15", false, None, &[]);
    check(&[], "print-20x30", false, None, &[]);
    let words = "it would be printed at 108 dpi, the floor of `poster` is 150 dpi; `print-20x30` \
                 would give 249 dpi";
    check(&[], "poster", false, None, &[words]);
    let small = |name: &str| fit(&photo(Some((640, 480)), &[]), name, true, false).doubts;
    let words = "it would be printed at 106 dpi, the floor of `print-10x15` is 150 dpi";
    assert_eq!(small("print-10x15"), [words], "nothing it would do for");
    assert!(small("mug").is_empty(), "its size is not known");
}

#[test]
fn floor_is_that_of_the_part_that_is_shown() {
    // A panorama shows a third of the height: what is left has to do.
    let mut products = products();
    let wide = Product { dpi_min: Some(100), ..product([700, 180]) };
    products.insert("panorama".to_owned(), wide);
    let poster = Product { pixels_min: Some([3000, 2000]), ..Product::priced(1) };
    products.insert("art".to_owned(), poster);
    let plain = photo(Some(PIXELS), &[]);
    let fitting =
        Fitting { photo: &plain, products: &products, tells_crop: true, remove_icon: false };
    assert!(fitting.fit("panorama").doubts.is_empty(), "3000 px on 700 mm are 108 dpi");
    assert!(fitting.fit("art").doubts.is_empty());
    let card = Mark::Icon {
        name: "mug".to_owned(),
        is_sure: true,
        part: Crop { x: 0, y: 0, width: 300, height: 300 },
        card: Crop { x: 0, y: 0, width: 400, height: 400 },
    };
    let photo = photo(Some(PIXELS), &[card]);
    let fitting = Fitting { photo: &photo, remove_icon: true, ..fitting };
    let words = "2600 x 1950 px of it are shown, the floor of `art` is 3000 x 2000 px; \
                 `panorama` would give 108 dpi";
    assert_eq!(fitting.fit("art").doubts, [words]);
}

#[test]
fn face_at_the_edge_moves_the_crop_or_asks_where_that_cannot_be_told() {
    let top = Crop { x: 0, y: 20, width: 3000, height: 2013 };
    check(&[face(100, 20)], "print-10x15", false, Some(top), &[]);
    check(&[icon(100, 20, true)], "print-10x15", false, Some(top), &[]);
    check(&[icon(100, 20, false)], "print-10x15", false, None, &[]);
    check(&[face(100, 20)], "mug", false, None, &[]);
    let words = "its provider cuts it by itself, and a face would not be whole; 3000 x \
                 2013 px at 0, 20 of it would do, which this provider cannot be told";
    let fit = fit(&photo(Some(PIXELS), &[face(1100, 20)]), "print-10x15", false, false);
    assert_eq!((fit.crop, fit.doubts), (None, vec![words.to_owned()]));
}

#[test]
fn faces_too_far_apart_ask_and_an_icon_gives_way_to_them() {
    let words = "no part of it in the shape of `print-10x15` has all faces whole; in the middle a \
                 face and a face would not be";
    check(&[face(100, 20), face(1100, 2040)], "print-10x15", false, None, &[words]);
    let photo = photo(Some(PIXELS), &[face(100, 20), icon(1100, 2040, true)]);
    let fit = fit(&photo, "print-10x15", true, false);
    assert_eq!(fit.crop, Some(Crop { x: 0, y: 20, width: 3000, height: 2013 }));
    assert!(fit.doubts.is_empty());
    assert_eq!(fit.remark.as_deref(), Some("the icon `mug` will not be whole on it"));
}

#[test]
fn icons_are_cropped_away_or_the_order_asks_why_not() {
    let corner = icon(60, 60, true);
    let crop = Crop { x: 54, y: 310, width: 2891, height: 1940 };
    check(std::slice::from_ref(&corner), "print-10x15", true, Some(crop), &[]);
    check(&[icon(60, 60, false)], "print-10x15", true, Some(crop), &[]);
    check(&[face(1100, 300)], "print-10x15", true, None, &[]);
    // A product of any shape keeps that of the photo.
    let same = Crop { x: 206, y: 310, width: 2587, height: 1940 };
    check(std::slice::from_ref(&corner), "mug", true, Some(same), &[]);
    let words = "its icons sit too far inside to be cropped away: 24 % of what is shown would be \
                 left";
    check(&[icon(1400, 1000, true)], "print-10x15", true, None, &[words]);
    let words = "its icons cannot be cropped away without cutting a face";
    check(&[corner.clone(), face(200, 200)], "print-10x15", true, None, &[words]);
    let words = "its icons would stay on it; 2891 x 1940 px at 54, 310 of it has none, which this \
                 provider cannot be told";
    let fit = fit(&photo(Some(PIXELS), &[corner]), "print-10x15", false, true);
    assert_eq!((fit.crop, fit.doubts), (None, vec![words.to_owned()]));
}

#[test]
fn photo_of_unknown_size_is_not_checked_and_says_so_where_there_is_a_floor() {
    for pixels in [None, Some((0, 0))] {
        let fit = |name: &str, remove| fit(&photo(pixels, &[]), name, true, remove);
        assert_eq!(fit("mug", false), Fit::default());
        let print = fit("print-10x15", false);
        let words = "its size is not known, so the floor of `print-10x15` was not checked";
        assert_eq!((print.doubts.len(), print.remark.as_deref()), (0, Some(words)));
        assert_eq!(fit("mug", true).doubts.len(), 1);
    }
}

#[test]
fn product_that_is_not_offered_fits() {
    assert_eq!(fit(&photo(Some(PIXELS), &[]), "canvas", true, true), Fit::default());
}
