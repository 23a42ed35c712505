//! Letters against a server that says what it is told to; it knows SMTP and not `lettre`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;
use crate::base::allow::Allow;
use crate::orders::target::Fate;

/// A server for one connection: answers each verb as usual but for one. The end of a letter is
/// the verb `.`, the beginning of a connection `hello`; the answer `hang up` is none.
///
/// Gives where it is, and what it was told: commands, and the letter without its stuffed dots.
pub(crate) fn peer(
    verb: &'static str,
    answer: &'static str,
) -> (MailServer, JoinHandle<(Vec<String>, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let said = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
        let (mut commands, mut letter) = (Vec::new(), String::new());
        let mut next = "hello".to_owned();
        loop {
            let usual = match next.as_str() {
                "hello" => "220 peer",
                "EHLO" => "250-peer\r\n250 8BITMIME",
                "DATA" => "354 go on",
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            let said = if next == verb { answer } else { usual };
            let told = stream.write_all(format!("{said}\r\n").as_bytes());
            if said == "hang up" || next == "QUIT" || told.is_err() {
                return (commands, letter);
            }
            if next == "DATA" && said.starts_with('3') {
                for line in lines.by_ref().map_while(Result::ok).take_while(|line| line != ".") {
                    letter += line.strip_prefix('.').unwrap_or(&line);
                    letter += "\r\n";
                }
                next = ".".into();
                continue;
            }
            let Some(Ok(line)) = lines.next() else { return (commands, letter) };
            next = line.split([' ', ':']).next().unwrap_or_default().to_owned();
            commands.push(line);
        }
    });
    (MailServer { host: "127.0.0.1".into(), port, user: None, plain: true }, said)
}

/// This computer may be called.
pub(crate) fn loopback() -> Allow {
    Allow::named(&["127.0.0.1"]).expect("a place")
}

pub(crate) fn address(text: &str) -> MailAddress {
    MailAddress::try_from(text.to_owned()).expect("an address")
}

fn post_to(server: &MailServer, letter: Letter<'_>) -> Result<(), Setback> {
    post(letter, server, "", &Outward::new(loopback()))
}

fn letter<'a>(from: &'a MailAddress, to: &'a [MailAddress]) -> Letter<'a> {
    Letter {
        key: "0123456789abcdefghjkmnpqrs",
        from,
        reply_to: None,
        to,
        subject: "A photo from Ada".into(),
        text: "Hello\n.\n.. and more\n".into(),
        at: Timestamp(1_780_000_000_000),
        page: None,
        enclosures: vec![Enclosure {
            name: "photo.jpg".into(),
            media_type: "image/jpeg".into(),
            bytes: vec![0xFF; 300],
        }],
    }
}

#[test]
fn answer_of_the_server_decides_whether_it_may_have_the_letter() {
    let (from, to) = (address("ada@example.org"), [address("b@x.org"), address("c@x.org")]);
    for (verb, answer, fate) in [
        ("hello", "554 go away", Fate::NotTaken),
        ("hello", "hang up", Fate::NotTaken),
        ("hello", "nonsense", Fate::NotTaken),
        ("EHLO", "421 busy", Fate::NotTaken),
        ("MAIL", "451 later", Fate::NotTaken),
        ("MAIL", "553 not you", Fate::Refused),
        ("RCPT", "450 later", Fate::NotTaken),
        ("RCPT", "550 nobody", Fate::Refused),
        ("RCPT", "hang up", Fate::NotTaken),
        ("RCPT", "354 what", Fate::NotTaken),
        ("DATA", "452 full", Fate::NotTaken),
        ("DATA", "554 no", Fate::Refused),
        ("DATA", "250 ok", Fate::NotTaken),
        ("DATA", "hang up", Fate::NotTaken),
        (".", "452 full", Fate::NotTaken),
        (".", "552 too large", Fate::Refused),
        (".", "hang up", Fate::Unknown),
        (".", "354 go on", Fate::Unknown),
        (".", "nonsense", Fate::Unknown),
    ] {
        let (server, said) = peer(verb, answer);
        let setback = post_to(&server, letter(&from, &to));
        said.join().expect("the server");
        let setback = setback.expect_err(answer);
        assert_eq!(setback.fate, fate, "{verb} {answer}: {}", setback.why);
        assert!(setback.why.contains("127.0.0.1"), "{}", setback.why);
    }
    let server = MailServer { port: 1, ..peer("hello", "hang up").0 };
    let setback = post_to(&server, letter(&from, &to)).expect_err("nobody is there");
    assert_eq!(setback.fate, Fate::NotTaken, "{}", setback.why);
}

#[test]
fn letter_arrives_whole_and_is_the_same_at_every_try() {
    let (from, to) = (address("ada@example.org"), [address("b@x.org"), address("c@x.org")]);
    let send = || {
        let (server, said) = peer("", "");
        post_to(&server, letter(&from, &to)).expect("taken");
        said.join().expect("the server")
    };
    let (commands, text) = send();
    assert_eq!(
        commands[1..4],
        ["MAIL FROM:<ada@example.org>", "RCPT TO:<b@x.org>", "RCPT TO:<c@x.org>"]
    );
    for part in [
        "Message-ID: <0123456789abcdefghjkmnpqrs@example.org>\r\n",
        "Date: Thu, 28 May 2026 20:26:40 +0000\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "\r\n.\r\n.. and more\r\n",
        "filename=\"photo.jpg\"",
    ] {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
    assert_eq!(send().1, text, "the second try differs");
}

#[test]
fn words_from_outside_add_no_header_and_no_recipient() {
    let (from, to) = (address("ada@example.org"), [address("b@x.org")]);
    let evil = "x\r\nBcc: eve@example.org\r\n\r\n<script>\n.\nRCPT TO:<eve@example.org>\r";
    let (server, said) = peer("", "");
    let mut letter = letter(&from, &to);
    letter.subject = evil.into();
    letter.text = evil.into();
    letter.enclosures[0].name = format!("{evil}\"; x=y ü\u{202E}.jpg");
    post_to(&server, letter).expect("taken");
    let (commands, text) = said.join().expect("the server");
    assert_eq!(commands.len(), 5, "{commands:?}");
    let head = text.split("\r\n\r\n").next().expect("a head");
    let names = head.lines().filter(|line| !line.starts_with(' '));
    let names: Vec<&str> = names.filter_map(|line| line.split(':').next()).collect();
    let usual = [
        "Message-ID",
        "Date",
        "From",
        "Subject",
        "To",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    ];
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let mut expected = usual.to_vec();
    expected.sort_unstable();
    assert_eq!(sorted, expected, "{head}");
    // Of the enclosure there is one head, with no lines but its own.
    let enclosure = text.split("Content-Disposition").nth(1).expect("an enclosure");
    let enclosure = enclosure.split("\r\n\r\n").next().expect("its head");
    assert!(!enclosure.lines().any(|line| line.starts_with("Bcc")), "{enclosure}");
}

#[test]
fn password_does_not_travel_in_the_clear() {
    let (from, to) = (address("ada@example.org"), [address("b@x.org")]);
    let (server, said) = peer("", "");
    let server = MailServer { user: Some("ada".into()), ..server };
    let setback = post_to(&server, letter(&from, &to)).expect_err("it was not sent");
    assert_eq!(setback.fate, Fate::NotTaken);
    // A server without STARTTLS is not trusted with anything either.
    let server = MailServer { plain: false, ..server };
    let setback = post_to(&server, letter(&from, &to)).expect_err("it was not sent");
    assert_eq!(setback.fate, Fate::NotTaken, "{}", setback.why);
    let (commands, text) = said.join().expect("the server");
    let auth = commands.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL"));
    assert!(!auth && text.is_empty(), "{commands:?}");
}
