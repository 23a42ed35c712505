//! Printers: what a real one gets, and that it gets it once.
//!
//! The peer is CUPS' ippeveprinter, which takes one job at a time and forgets everything when it
//! is switched off.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use signet::base::allow::Allow;
use signet::base::clock::Timestamp;
use signet::base::ids::{ContentHash, derived};
use signet::base::member::Member;
use signet::orders::catalogue::{Product, Size};
use signet::orders::outward::Outward;
use signet::orders::parcel::{Line, Parcel, Sender as Owner};
use signet::orders::target::ipp::{Printer, Spec};
use signet::orders::target::{
    Cancelled, Fate, Files, Means, Progress, Search, Setback, Taken, Target,
};
use signet::orders::webhook::MemberMessage;
use signet::store::{OrderState, Purpose};

use crate::common::wait_for;
use crate::printer::TestPrinter;
use crate::world::{World, sample};

/// The owner's files: one photo.
struct Photo(Vec<u8>);

impl Files for Photo {
    fn open(&self, _order_key: &str, _member: &MemberMessage) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::Cursor::new(self.0.clone())))
    }
}

fn target(uri: String) -> Printer {
    let means = Means {
        orders_url: uri,
        secret: String::new(),
        outward: Outward::new(Allow::named(&["localhost"]).expect("a place")),
        sign: Arc::new(|_| [0; 64]),
        agent_id: String::new(),
    };
    Printer::new(&Spec::default(), means)
}

/// A parcel of one order: 10x15 glossy.
fn parcel(name: &str, photo: &Photo) -> Parcel {
    let product = Product {
        size: Some(Size { width_mm: 102, height_mm: 152 }),
        finish: Some("glossy".into()),
        ..Product::priced(29)
    };
    let line = Line {
        order_key: derived("order", &[name]),
        purpose: Purpose::Print,
        product: Some(("print-10x15".into(), product)),
        copies: 2,
        price_minor: 58,
        batch: None,
        pixels: None,
        crop: None,
        members: vec![MemberMessage {
            role: Member::Original,
            name: format!("{name}.jpg"),
            media_type: "image/jpeg".into(),
            bytes_count: photo.0.len() as u64,
            sha256: ContentHash::of(&photo.0),
            url: String::new(),
            grant: String::new(),
        }],
        manifest: String::new(),
        receipt_url: String::new(),
        status_url: String::new(),
    };
    let sender = Owner {
        name: "Ada".into(),
        address: "mailto:ada@example.org".into(),
        agent_id: String::new(),
        key: String::new(),
    };
    Parcel {
        parcel_key: derived("parcel", &[name]),
        provider: "printer".into(),
        sender,
        recipient: None,
        addressee: None,
        express: false,
        delivery: None,
        lines: vec![line],
        currency: "EUR".into(),
        callback_url: String::new(),
        created_at: Timestamp::now(),
    }
}

/// Follows a parcel until nothing more is to be asked.
#[track_caller]
fn follow(target: &Printer, parcel: &Parcel, taken: &Taken) -> Progress {
    wait_for("the end of the job", || {
        let progress = target.follow(&parcel.parcel_key, &taken.remote).expect("an answer");
        Some(progress).filter(|progress| progress.look_again_s.is_none())
    })
}

#[test]
fn photo_is_printed_as_it_is_on_the_paper_that_was_asked_for() {
    let Some(printer) = TestPrinter::new() else { return };
    let (target, photo) = (target(printer.uri()), Photo(sample("meadow")));
    let parcel = parcel("meadow", &photo);
    printer.hold();
    let taken = target.send(&parcel, &photo).expect("taken");
    let printed = printer.wait_printed(1);
    wait_for("the job to be printed", || {
        let progress = target.follow(&parcel.parcel_key, &taken.remote).expect("an answer");
        (progress.state == OrderState::Production && progress.look_again_s == Some(2)).then_some(())
    });
    printer.release();
    let end = follow(&target, &parcel, &taken);
    assert_eq!((end.state, end.note.as_str()), (OrderState::Done, "printed"));

    let (document, asked) = &printed[0];
    assert!(*document == photo.0, "the document is not the original");
    let name = format!("signet {} 1", parcel.parcel_key);
    for (attribute, expected) in [
        ("CONTENT_TYPE", "image/jpeg"),
        ("IPP_COPIES", "2"),
        ("IPP_JOB_NAME", name.as_str()),
        ("IPP_PRINT_QUALITY", "high"),
        ("IPP_PRINT_SCALING", "fill"),
    ] {
        assert_eq!(asked[attribute], expected, "{attribute}");
    }
    let media = &asked["IPP_MEDIA_COL"];
    for part in [
        "media-size={x-dimension=10160 y-dimension=15240}",
        "media-top-margin=0",
        "media-left-margin=0",
        "media-source=photo",
        "media-type=photographic-glossy",
    ] {
        assert!(media.contains(part), "{part} in {media}");
    }
}

#[test]
fn large_photo_arrives_whole() {
    let Some(printer) = TestPrinter::new() else { return };
    // What is behind the end of a JPEG is no part of the picture, and of the original it is.
    let noise = (0..12_000_000_u32).map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
    let photo = Photo(sample("meadow").into_iter().chain(noise).collect());
    let target = target(printer.uri());
    let parcel = parcel("large", &photo);
    let taken = target.send(&parcel, &photo).expect("taken");
    assert_eq!(follow(&target, &parcel, &taken).state, OrderState::Done);
    assert!(printer.printed()[0].0 == photo.0, "the document is not the original");
}

#[test]
fn paper_that_the_printer_does_not_have_is_refused_with_what_it_has() {
    let Some(printer) = TestPrinter::plain() else { return };
    let (target, photo) = (target(printer.uri()), Photo(sample("meadow")));
    let mut parcel = parcel("meadow", &photo);
    let Err(Setback { fate: Fate::Refused, why, .. }) = target.send(&parcel, &photo) else {
        panic!("it was not refused")
    };
    assert!(why.contains("no paper `glossy`") && why.contains("stationery"), "{why}");
    if let Some((_, product)) = &mut parcel.lines[0].product {
        product.finish = None;
    }
    let Err(Setback { fate: Fate::Refused, why, .. }) = target.send(&parcel, &photo) else {
        panic!("it was not refused")
    };
    assert!(why.contains("102 mm x 152 mm, borderless"), "{why}");
    assert!(why.contains("`210 mm x 297 mm`"), "{why}");
    assert!(printer.printed().is_empty());
}

#[test]
fn job_is_cancelled_while_it_prints_and_not_afterwards() {
    let Some(printer) = TestPrinter::new() else { return };
    let (target, photo) = (target(printer.uri()), Photo(sample("meadow")));
    let first = parcel("first", &photo);
    printer.hold();
    let taken = target.send(&first, &photo).expect("taken");
    printer.wait_printed(1);
    let stopped = target.cancel(&first.parcel_key, &taken.remote).expect("an answer");
    assert!(matches!(stopped, Cancelled::Stopped(_)), "{stopped:?}");
    printer.release();
    assert_eq!(follow(&target, &first, &taken).state, OrderState::Cancelled);

    let second = parcel("second", &photo);
    let taken = target.send(&second, &photo).expect("taken");
    assert_eq!(follow(&target, &second, &taken).state, OrderState::Done);
    let late = target.cancel(&second.parcel_key, &taken.remote).expect("an answer");
    assert_eq!(late, Cancelled::TooLate("it was printed".into()));
    // By its name alone, as long as nobody knows the numbers of its jobs.
    let late = target.cancel(&second.parcel_key, &second.parcel_key).expect("an answer");
    assert_eq!(late, Cancelled::TooLate("it was printed".into()));
}

#[test]
fn printer_that_is_busy_is_asked_again_later() {
    let Some(printer) = TestPrinter::new() else { return };
    let (target, photo) = (target(printer.uri()), Photo(sample("meadow")));
    let (first, second) = (parcel("first", &photo), parcel("second", &photo));
    printer.hold();
    let taken = target.send(&first, &photo).expect("taken");
    let busy = target.send(&second, &photo).expect_err("it prints another");
    assert_eq!((busy.fate, busy.wait_s), (Fate::Away, Some(5)), "{}", busy.why);
    printer.release();
    follow(&target, &first, &taken);
    let taken = target.send(&second, &photo).expect("taken");
    follow(&target, &second, &taken);
    assert_eq!(printer.printed().len(), 2);
}

#[test]
fn several_lines_are_a_job_each_and_continue_where_they_broke_off() {
    let Some(printer) = TestPrinter::new() else { return };
    let (target, photo) = (target(printer.uri()), Photo(sample("meadow")));
    let mut parcel = parcel("both", &photo);
    parcel.lines.push(parcel.lines[0].clone());
    printer.hold();
    let busy = target.send(&parcel, &photo).expect_err("it takes one at a time");
    assert_eq!(busy.fate, Fate::Unknown, "a part of it is there: {}", busy.why);
    printer.release();
    let taken = wait_for("the rest to be taken", || target.send(&parcel, &photo).ok());
    assert_eq!(follow(&target, &parcel, &taken).state, OrderState::Done);
    let printed = printer.printed();
    let names: Vec<&str> =
        printed.iter().map(|(_, asked)| asked["IPP_JOB_NAME"].as_str()).collect();
    let name = |number| format!("signet {} {number}", parcel.parcel_key);
    assert_eq!(names, [name(1), name(2)]);
}

#[test]
fn printer_switched_off_after_it_took_the_job_leaves_a_doubt_and_never_a_second_print() {
    let Some(mut printer) = TestPrinter::new() else { return };
    let photo = Photo(sample("meadow"));
    let parcel = parcel("meadow", &photo);
    let (port, _seen) = in_between(printer.port(), Some((SEND_DOCUMENT, Mishap::AnswerLost)));
    let lossy = target(printer.uri_through(port));
    printer.hold();
    let lost = lossy.send(&parcel, &photo).expect_err("the answer is lost");
    assert_eq!(lost.fate, Fate::Unknown);
    printer.wait_printed(1);
    printer.switch_off();
    printer.switch_on();
    let target = target(printer.uri());
    let doubt = target.find(&parcel).expect_err("nobody knows");
    assert_eq!(doubt.fate, Fate::Unknown);
    assert!(doubt.why.contains("look whether it lies there"), "{}", doubt.why);
    assert_eq!(printer.printed().len(), 1);
}

#[test]
fn photo_that_breaks_off_on_its_way_is_taken_back_and_sent_again() {
    let Some(printer) = TestPrinter::new() else { return };
    let photo = Photo([sample("meadow"), vec![7; 12_000_000]].concat());
    let parcel = parcel("meadow", &photo);
    let (port, _seen) = in_between(printer.port(), Some((SEND_DOCUMENT, Mishap::BreaksOff)));
    let target = target(printer.uri_through(port));
    printer.hold();
    let broken = target.send(&parcel, &photo).expect_err("it broke off");
    assert_eq!(broken.fate, Fate::NotTaken, "{}", broken.why);
    printer.release();
    let taken = dispatch(&target, &parcel, &photo);
    assert_eq!(follow(&target, &parcel, &taken).state, OrderState::Done);
    let whole = printer.printed().iter().filter(|(document, _)| *document == photo.0).count();
    assert_eq!(whole, 1);
}

#[test]
fn job_that_a_printer_forgot_when_it_was_switched_off_has_failed_visibly() {
    let Some(mut printer) = TestPrinter::new() else { return };
    let (target, photo) = (target(printer.uri()), Photo(sample("meadow")));
    let (ours, other) = (parcel("meadow", &photo), parcel("other", &photo));
    printer.hold();
    let taken = target.send(&ours, &photo).expect("taken");
    // Its plug is pulled in the middle of it.
    wait_for("the job to be printed", || (!printer.printed().is_empty()).then_some(()));
    printer.switch_off();
    let off = target.follow(&ours.parcel_key, &taken.remote).expect_err("it is off");
    assert_eq!(off.fate, Fate::Away);
    printer.switch_on();
    // It counts from 1 again: the number is that of another order now.
    target.send(&other, &photo).expect("taken");
    let progress = target.follow(&ours.parcel_key, &taken.remote).expect("an answer");
    assert_eq!((progress.state, progress.look_again_s), (OrderState::Failed, None));
}

/// An owner whose prints come out of a printer at home.
fn world_with(printer: &TestPrinter) -> World {
    World::with_written_card(&format!(
        "signet = \"provider/1\"\nname = \"lab\"\ncurrency = \"EUR\"\norders_url = \"{}\"\n\
         [target]\nkind = \"ipp\"\nquality = \"normal\"\n\
         [products.print-10x15]\nprice_minor = 0\nsize_mm = [102, 152]\n",
        printer.uri()
    ))
}

#[test]
fn photo_with_an_icon_comes_out_of_the_printer() {
    let Some(printer) = TestPrinter::new() else { return };
    let world = world_with(&printer);
    let _agent = world.start_agent();
    let photo = sample("meadow");
    world.drop_photo("IMG_1.jpg", &photo);
    world.wait_orders(1, "done");
    let printed = printer.printed();
    assert_eq!(printed.len(), 1);
    assert!(printed[0].0 == photo, "the document is not the original");
    assert_eq!(printed[0].1["IPP_PRINT_QUALITY"], "normal");
    assert_eq!(world.report("access").len(), 1, "what the printer got is an access");
}

#[test]
fn order_waits_for_a_printer_that_is_off_and_is_printed_once() {
    let Some(mut printer) = TestPrinter::new() else { return };
    let world = world_with(&printer);
    printer.switch_off();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    agent.line_with("postponed");
    printer.switch_on();
    world.wait_orders(1, "done");
    assert_eq!(printer.printed().len(), 1);
}

#[test]
fn order_for_paper_that_the_printer_does_not_have_fails_and_says_what_it_has() {
    let Some(printer) = TestPrinter::plain() else { return };
    let world = world_with(&printer);
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    let orders = world.wait_orders(1, "failed");
    assert!(orders[0]["reason"].as_str().expect("words").contains("`210 mm x 297 mm`"));
    assert!(printer.printed().is_empty());
}

#[test]
fn printer_that_lost_its_power_while_it_printed_is_not_given_the_order_again() {
    let Some(mut printer) = TestPrinter::new() else { return };
    let world = world_with(&printer);
    printer.hold();
    let agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    world.wait_orders(1, "production");
    // The agent is off as well, so that it does not meet the printer while that is off.
    drop(agent);
    printer.switch_off();
    printer.switch_on();
    let _agent = world.start_agent();
    let orders = world.wait_orders(1, "failed");
    assert!(orders[0]["reason"].as_str().expect("words").contains("look whether it lies there"));
    assert_eq!(printer.printed().len(), 1);
}

/// Numbers of operations, as RFC 8011 has them.
const CREATE_JOB: u8 = 5;
const SEND_DOCUMENT: u8 = 6;
const GET_JOBS: u8 = 10;
const GET_PRINTER_ATTRIBUTES: u8 = 11;

/// What happens to one call.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    /// It gets there and is done, and the answer does not come back.
    AnswerLost,
    /// It gets there and is done, and half of the answer comes back.
    HalfAnAnswer,
    /// Half of it gets there, and we think that all of it did.
    HalfACall,
    /// A little of it gets there, and we notice.
    BreaksOff,
    /// It does not get there; more comes back than anyone reads.
    EndlessAnswer,
    /// It does not get there; this comes back.
    Answer(&'static [u8]),
}

const MISHAPS: [Mishap; 10] = [
    Mishap::AnswerLost,
    Mishap::HalfAnAnswer,
    Mishap::HalfACall,
    Mishap::EndlessAnswer,
    Mishap::Answer(b""),
    Mishap::Answer(b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n"),
    Mishap::Answer(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"),
    Mishap::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n<p>Welcome!</p>"),
    // Says that it ends after 9 bytes; 8 come.
    Mishap::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n\x02\0\0\0\0\0\0\x01"),
    // "busy", as IPP says it.
    Mishap::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n\x02\0\x05\x07\0\0\0\x01\x03"),
];

/// Stands between us and a printer; the mishap happens once, to the first call of that operation.
/// Tells of each call by its operation.
fn in_between(to: u16, mishap: Option<(u8, Mishap)>) -> (u16, Receiver<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (seen, calls) = channel();
    std::thread::spawn(move || {
        let mut mishap = mishap;
        for stream in listener.incoming() {
            handle(stream.expect("a connection"), to, &mut mishap, &seen);
        }
    });
    (port, calls)
}

fn handle(mut caller: TcpStream, to: u16, mishap: &mut Option<(u8, Mishap)>, seen: &Sender<u8>) {
    let mut call = Vec::new();
    read_call(&mut caller, &mut call, 4096);
    let Some(body) = body_of(&call) else { return };
    // Version, operation, number of the request: two, two and four bytes.
    let operation = call[body + 3];
    let _nobody_listens = seen.send(operation);
    let happens = mishap.take_if(|(at, _)| *at == operation).map(|(_, mishap)| mishap);
    if !matches!(happens, Some(Mishap::BreaksOff)) {
        read_call(&mut caller, &mut call, usize::MAX);
    }
    let pass_on = |call: &[u8]| {
        let mut printer = TcpStream::connect(("localhost", to)).expect("the printer");
        printer.write_all(call).expect("passed on");
        printer.shutdown(std::net::Shutdown::Write).expect("said everything");
        let mut answer = Vec::new();
        printer.read_to_end(&mut answer).expect("an answer");
        answer
    };
    let answer = match happens {
        None => pass_on(&call),
        Some(Mishap::AnswerLost) => {
            pass_on(&call);
            return;
        }
        Some(Mishap::HalfAnAnswer) => {
            let mut answer = pass_on(&call);
            let half = body_of(&answer).map_or(0, |body| body + (answer.len() - body) / 2);
            answer.truncate(half);
            answer
        }
        Some(Mishap::BreaksOff) => {
            pass_on(&call);
            return;
        }
        Some(Mishap::HalfACall) => {
            pass_on(&call[..body + (call.len() - body) / 2]);
            return;
        }
        Some(Mishap::EndlessAnswer) => {
            [&b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n"[..], &[2; 99_999]].concat()
        }
        Some(Mishap::Answer(answer)) => answer.to_vec(),
    };
    let _caller_may_be_gone = caller.write_all(&answer);
}

/// Reads on in an HTTP request with a content-length, until so much of its body is there.
fn read_call(stream: &mut TcpStream, call: &mut Vec<u8>, body_bytes_max: usize) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    let mut buffer = [0; 16 * 1024];
    loop {
        if let Some(body) = body_of(call) {
            let head = String::from_utf8_lossy(&call[..body]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.expect("a length").trim().parse().expect("a number");
            if call.len() >= body + length.min(body_bytes_max) {
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => call.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Where the body of an HTTP message begins.
fn body_of(message: &[u8]) -> Option<usize> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

/// Does what the dispatcher does, without its waiting: sends, and asks before it sends again.
#[track_caller]
fn dispatch(target: &Printer, parcel: &Parcel, photo: &Photo) -> Taken {
    let mut is_in_doubt = false;
    wait_for("the printer to take it", || {
        if is_in_doubt {
            match target.find(parcel) {
                Ok(Search::Found(taken)) => return Some(taken),
                Ok(Search::SendAgain | Search::TakesAgain) => {}
                Err(_) => return None,
            }
        }
        match target.send(parcel, photo) {
            Ok(taken) => return Some(taken),
            Err(setback) if setback.fate == Fate::Refused => panic!("refused: {}", setback.why),
            Err(setback) => is_in_doubt = setback.fate == Fate::Unknown,
        }
        None
    })
}

#[test]
fn whatever_goes_wrong_with_whichever_call_the_photo_is_printed_once() {
    let Some(printer) = TestPrinter::new() else { return };
    let photo = Photo(sample("meadow"));
    let mut parcels = Vec::new();
    for operation in [GET_PRINTER_ATTRIBUTES, GET_JOBS, CREATE_JOB, SEND_DOCUMENT] {
        for mishap in MISHAPS {
            let (port, seen) = in_between(printer.port(), Some((operation, mishap)));
            let target = target(printer.uri_through(port));
            let parcel = parcel(&format!("{operation} {mishap:?}"), &photo);
            let taken = dispatch(&target, &parcel, &photo);
            let end = follow(&target, &parcel, &taken);
            assert_eq!(end.state, OrderState::Done, "{operation} {mishap:?}: {}", end.note);
            assert!(seen.try_iter().any(|called| called == operation), "it did not happen");
            parcels.push((parcel, operation, mishap));
        }
    }
    let half = parcels.iter().find(|(_, operation, mishap)| {
        *operation == SEND_DOCUMENT && matches!(mishap, Mishap::HalfACall)
    });
    let half = half.map(|(parcel, ..)| format!("signet {} 1", parcel.parcel_key));
    let half = half.expect("it was among them");
    let mut printed: BTreeMap<String, usize> = BTreeMap::new();
    for (document, asked) in printer.printed() {
        // This printer prints half a photo without a word, when nobody notices that it is half.
        let is_half = asked["IPP_JOB_NAME"] == half && photo.0.starts_with(&document);
        assert!(is_half || document == photo.0, "a document is not the original");
        *printed.entry(asked["IPP_JOB_NAME"].clone()).or_default() += 1;
    }
    for (parcel, operation, mishap) in &parcels {
        let count = printed.get(&format!("signet {} 1", parcel.parcel_key));
        assert_eq!(count, Some(&1), "{operation} {mishap:?}");
    }
    assert_eq!(printed.len(), parcels.len());
}
