//! Which paper makes which product.

use std::collections::BTreeMap;

use super::*;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::orders::target::ipp::Scaling;
use crate::orders::target::ipp::wire::{Answer, Operation, request};
use crate::orders::webhook::MemberMessage;
use crate::store::Purpose;

fn word(word: &str) -> Value {
    Value::Keyword(word.to_owned())
}

fn words(all: &[&str]) -> Value {
    Value::List(all.iter().map(|one| word(one)).collect())
}

/// Paper of so many hundredths of a millimetre.
fn paper(width: i32, height: i32, margin: i32, more: Vec<Attribute>) -> Value {
    let size =
        vec![("x-dimension", Value::Integer(width)), ("y-dimension", Value::Integer(height))];
    let mut members = vec![("media-size", Value::Collection(size))];
    members.extend(MARGINS.map(|name| (name, Value::Integer(margin))));
    members.extend(more);
    Value::Collection(members)
}

/// A printer as it comes through the wire.
fn printer(papers: Vec<Value>) -> Group {
    let attributes = vec![
        ("copies-supported", Value::Integer(20)),
        ("document-format-supported", words(&["image/jpeg", "application/pdf"])),
        ("media-col-database", Value::List(papers)),
        ("media-type-supported", words(&["stationery", "photographic-glossy"])),
        ("orientation-requested-supported", Value::List(vec![Value::Enum(3), Value::Enum(4)])),
        ("print-quality-supported", Value::List(vec![Value::Enum(4), Value::Enum(5)])),
        ("print-scaling-supported", words(&["auto", "fill"])),
    ];
    let bytes = request(Operation::GetJobs, "ipp://a/", Vec::new(), attributes).expect("bytes");
    Answer::read(bytes).expect("an answer").jobs.remove(0)
}

fn photo_printer() -> Group {
    let tray = || vec![("media-source", word("photo"))];
    printer(vec![
        paper(21000, 29700, 340, Vec::new()),
        paper(10000, 15000, 0, tray()),
        paper(10160, 15240, 0, tray()),
        paper(10160, 15240, 340, tray()),
    ])
}

fn line(product: Product) -> Line {
    Line {
        order_key: "order".into(),
        purpose: Purpose::Print,
        product: Some(("print-10x15".into(), product)),
        copies: 2,
        price_minor: 0,
        batch: None,
        pixels: Some((4032, 3024)),
        crop: None,
        members: vec![MemberMessage {
            role: Member::Original,
            name: "a.jpg".into(),
            media_type: "image/jpeg".into(),
            bytes_count: 1,
            sha256: ContentHash::of(b"a"),
            url: String::new(),
            grant: String::new(),
        }],
        manifest: String::new(),
        receipt_url: String::new(),
        status_url: String::new(),
    }
}

fn product(width_mm: u32, height_mm: u32) -> Product {
    Product { size: Some(Size { width_mm, height_mm }), ..Product::priced(0) }
}

fn with(product: Product, attributes: &[(&str, &str)]) -> Product {
    let attributes = attributes.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Product { attributes: attributes.collect::<BTreeMap<_, _>>(), ..product }
}

/// What a printer is told of the paper: x, y, top margin, tray, type.
type Told = (i32, i32, i32, Option<String>, Option<String>);

fn told(printer: &Group, spec: &Spec, line: &Line) -> Result<Told, String> {
    let job = job(printer, spec, line)?;
    let bytes = request(Operation::CreateJob, "ipp://a/", Vec::new(), job.attributes);
    let read = Answer::read(bytes.expect("a request")).expect("what was written").jobs.remove(0);
    let media = read.groups("media-col").next().expect("a medium");
    let size = media.groups("media-size").next().expect("a size");
    let word = |name| media.text(name).map(str::to_owned);
    Ok((
        size.number("x-dimension").expect("x"),
        size.number("y-dimension").expect("y"),
        media.number("media-top-margin").expect("a margin"),
        word("media-source"),
        word("media-type"),
    ))
}

#[test]
fn product_goes_to_the_nearest_paper_within_2_mm_whichever_way_it_is_turned() {
    let check = |(width_mm, height_mm), expected: Option<(i32, i32)>| {
        let told = told(&photo_printer(), &Spec::default(), &line(product(width_mm, height_mm)));
        assert_eq!(told.ok().map(|told| (told.0, told.1)), expected, "{width_mm} x {height_mm}");
    };
    check((102, 152), Some((10160, 15240)));
    check((152, 102), Some((10160, 15240)));
    check((100, 150), Some((10000, 15000)));
    check((101, 152), Some((10160, 15240)));
    check((105, 148), None);
    check((0, u32::MAX), None);
}

#[test]
fn border_tray_and_finish_of_a_product_choose_the_paper() {
    let spec = Spec::default();
    let glossy = Product { finish: Some("glossy".into()), ..product(102, 152) };
    let bordered = with(glossy.clone(), &[("border", "white"), ("media-source", "photo")]);
    let photo = || Some("photo".to_owned());
    let kind = || Some("photographic-glossy".to_owned());
    let told = |product| told(&photo_printer(), &spec, &line(product));
    assert_eq!(told(glossy), Ok((10160, 15240, 0, photo(), kind())));
    assert_eq!(told(bordered), Ok((10160, 15240, 340, photo(), kind())));
    assert_eq!(told(product(102, 152)), Ok((10160, 15240, 0, photo(), None)));
}

#[test]
fn what_the_printer_has_not_is_refused_with_what_it_has() {
    let check = |line: &Line, expected: &str| {
        let why = job(&photo_printer(), &Spec::default(), line).expect_err("not to be made");
        assert!(why.contains(expected), "{why}");
        assert!(!why.chars().any(char::is_control), "{why}");
    };
    let of = line;
    check(&of(product(203, 254)), "`210 mm x 297 mm`");
    check(&of(product(210, 297)), "it has `210 mm x 297 mm`");
    check(&of(Product::priced(0)), "`size_mm`");
    let matte = Product { finish: Some("matte".into()), ..product(102, 152) };
    check(&of(matte), "but `stationery`, `photographic-glossy`");
    check(&of(with(product(102, 152), &[("frame", "oak")])), "`frame = oak`");
    check(&of(with(product(102, 152), &[("media-source", "main")])), "borderless");
    check(&Line { copies: 21, ..of(product(102, 152)) }, "at most 20 copies");
    check(&Line { product: None, ..of(product(102, 152)) }, "only shares");
    let mut heic = of(product(102, 152));
    heic.members[0].media_type = "image/heic".into();
    check(&heic, "does not take `image/heic`, but `image/jpeg`");
}

#[test]
fn printer_that_lists_nothing_is_asked_for_nothing_and_says_so() {
    let why = job(&Group::default(), &Spec::default(), &line(product(102, 152)));
    assert!(why.expect_err("nothing is known of it").contains("names nothing"));
}

#[test]
fn wishes_that_the_printer_does_not_promise_are_told() {
    let spec = Spec { quality: Quality::Draft, scaling: Scaling::Fit, ..Spec::default() };
    let job = job(&photo_printer(), &spec, &line(product(102, 152))).expect("a job");
    assert_eq!(job.notes.len(), 2, "{:?}", job.notes);
    assert!(!job.attributes.iter().any(|(name, _)| *name == "print-quality"));
    assert!(job.attributes.contains(&("print-scaling", word("fit"))));
    assert!(job.attributes.contains(&("copies", Value::Integer(2))));
}

#[test]
fn photo_is_turned_only_where_the_owner_says_that_the_printer_does_not() {
    let orientation = |orientation, pixels| {
        let spec = Spec { orientation, ..Spec::default() };
        let line = Line { pixels, ..line(product(152, 102)) };
        let job = job(&photo_printer(), &spec, &line).expect("a job");
        let found = job.attributes.into_iter().find(|(name, _)| *name == "orientation-requested");
        found.map(|(_, value)| value)
    };
    assert_eq!(orientation(Orientation::Printer, Some((3, 2))), None);
    assert_eq!(orientation(Orientation::Photo, Some((3, 2))), Some(Value::Enum(4)));
    assert_eq!(orientation(Orientation::Photo, Some((2, 3))), Some(Value::Enum(3)));
    assert_eq!(orientation(Orientation::Photo, None), None);
}
