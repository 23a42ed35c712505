//! Hands one letter to one mail server.
//!
//! In:  a letter and a server. Out: nothing, or a setback that says whether the server may have
//! taken it.
//!
//! The server has taken a letter when it says so behind its last line. A server that says no, at
//! whatever point, has not: for now (4xx) or for good (5xx). When the connection breaks while the
//! letter is on its way, or the answer to it cannot be read, nobody knows; the same letter, to the
//! byte and with the same Message-ID, may then be sent again, and mailboxes that know Message-IDs
//! keep one. All recipients or none: when one is turned down, nothing is sent to the others.
//!
//! The only home of `lettre`. It encodes headers, so that no name from outside can add one;
//! control characters are taken out before.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{
    ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue,
};
use lettre::message::{Attachment, Body, Mailbox, Message, MultiPart, MultiPartKind, SinglePart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::{Response, Severity};

use super::outward::Outward;
use super::target::Setback;
use crate::base::clock::Timestamp;
use crate::base::ids::derived;
use crate::base::mail::{MailAddress, MailServer, submissions};

/// A server that says nothing for so long is not heard any more.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Most recipients of a letter.
pub const RECIPIENTS_MAX: usize = 20;

/// One letter.
#[derive(Debug, Clone)]
pub struct Letter<'a> {
    /// Names it for good; the same at every try. Letters and digits.
    pub key: &'a str,
    /// Who it is from.
    pub from: &'a MailAddress,
    /// Where answers go, if elsewhere.
    pub reply_to: Option<MailAddress>,
    /// Who gets it; all of them see all of them.
    pub to: &'a [MailAddress],
    /// What it is about.
    pub subject: String,
    /// What it says; lines end with `\n`.
    pub text: String,
    /// The same as HTML, for mail programs that show it.
    pub page: Option<Page>,
    /// Its date.
    pub at: Timestamp,
    /// What goes with it.
    pub enclosures: Vec<Enclosure>,
}

/// A letter as HTML.
#[derive(Debug, Clone)]
pub struct Page {
    /// The page; it names pictures as `cid:` and their name.
    pub html: String,
    /// The pictures.
    pub pictures: Vec<Enclosure>,
}

/// A file that goes with a letter.
#[derive(Debug, Clone)]
pub struct Enclosure {
    /// Its name, without folders.
    pub name: String,
    /// Such as `image/jpeg`.
    pub media_type: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// Hands a letter to a server.
///
/// - `password`: for the server's user, where it has one
///
/// # Errors
/// A [`Setback`] as the header says.
pub fn post(
    letter: Letter<'_>,
    server: &MailServer,
    password: &str,
    outward: &Outward,
) -> Result<(), Setback> {
    if letter.to.is_empty() || letter.to.len() > RECIPIENTS_MAX {
        let count = letter.to.len();
        let why = format!("a mail goes to 1 to {RECIPIENTS_MAX} addresses, this one to {count}");
        return Err(Setback::refused(why));
    }
    let (from, to) = (letter.from.clone(), letter.to);
    let message = write(letter)?;
    let host = &server.host;
    let refused = |stage: &str, no: &No| {
        let why = |words: &str| format!("the mail server `{host}` {stage}: {words}");
        match no {
            No::Code(error) if error.is_permanent() => Setback::refused(why(&words(error))),
            No::Code(error) => Setback::not_taken(why(&words(error))),
            No::Words(words) => Setback::not_taken(why(words)),
        }
    };
    let mut connection = connect(server, password, outward)?;
    let address = |address: &MailAddress| {
        let parsed = address.as_str().parse::<lettre::Address>();
        parsed.map_err(|error| Setback::refused(format!("`{address}`: {error}")))
    };
    let mail = connection.command(Mail::new(Some(address(&from)?), vec![]));
    said(mail, Severity::PositiveCompletion)
        .map_err(|error| refused(&format!("takes no mail from `{from}`"), &error))?;
    for to in to {
        let rcpt = connection.command(Rcpt::new(address(to)?, vec![]));
        said(rcpt, Severity::PositiveCompletion)
            .map_err(|error| refused(&format!("takes no mail for `{to}`"), &error))?;
    }
    said(connection.command(Data), Severity::PositiveIntermediate)
        .map_err(|error| refused("takes no mail", &error))?;
    let taken = said(connection.message(&message), Severity::PositiveCompletion);
    // Only a clear word of no counts as one: whoever broke off may have it.
    let done = taken.map_err(|error| match error {
        No::Code(_) => refused("did not take the mail", &error),
        No::Words(words) => {
            let why = format!("the mail server `{host}` did not say whether it has it: {words}");
            Setback::unknown(why)
        }
    });
    connection.abort();
    done
}

/// Why a step did not succeed.
enum No {
    /// The server said so, with a code of 4xx or 5xx.
    Code(Error),
    /// It said nothing, or nothing that could be understood.
    Words(String),
}

/// Takes an answer for what it should be: other codes of success than the one that is due mean
/// that the two do not understand each other.
fn said(answer: Result<Response, Error>, wanted: Severity) -> Result<(), No> {
    match answer {
        Ok(response) if response.code().severity == wanted => Ok(()),
        Ok(response) => Err(No::Words(format!("it answered {}", response.code()))),
        Err(error) if error.status().is_some() => Err(No::Code(error)),
        Err(error) => Err(No::Words(words(&error))),
    }
}

/// Connects, encrypts, and says who we are. Nothing was handed over when this fails.
fn connect(
    server: &MailServer,
    password: &str,
    outward: &Outward,
) -> Result<SmtpConnection, Setback> {
    let MailServer { host, port, user, plain } = server;
    if *plain && user.is_some() {
        let why = format!("the password for `{host}` would travel in the clear: remove `plain`");
        return Err(Setback::not_taken(why));
    }
    let trouble = |error: Error| {
        let why = format!("the mail server `{host}:{port}` cannot be used: {}", words(&error));
        Setback::not_taken(why)
    };
    let addresses = outward.check(host, *port, !plain)?;
    let tls = TlsParameters::new(host.clone()).map_err(trouble)?;
    let hello = ClientId::default();
    let at_once = (!plain && *port == submissions()).then_some(&tls);
    let connected =
        SmtpConnection::connect(addresses.as_slice(), Some(TIMEOUT), &hello, at_once, None);
    let mut connection = connected.map_err(trouble)?;
    if !plain && at_once.is_none() {
        connection.starttls(&tls, &hello).map_err(trouble)?;
    }
    if let Some(user) = user {
        let credentials = Credentials::new(user.clone(), password.to_owned());
        connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).map_err(|error| {
            Setback::not_taken(format!(
                "the mail server `{host}` does not let `{user}` in: {}: check the password",
                words(&error)
            ))
        })?;
    }
    Ok(connection)
}

/// The letter as it travels.
fn write(letter: Letter<'_>) -> Result<Vec<u8>, Setback> {
    let unfit = |error: &dyn std::fmt::Display| {
        Setback::refused(format!("the mail cannot be written: {error}"))
    };
    let mailbox = |address: &MailAddress| {
        let parsed = address.as_str().parse().map(|address| Mailbox::new(None, address));
        parsed.map_err(|error| unfit(&error))
    };
    let domain = letter.from.as_str().rsplit('@').next().unwrap_or("localhost");
    let age = Duration::from_millis(u64::try_from(letter.at.0).unwrap_or(0));
    let mut builder = Message::builder()
        .message_id(Some(format!("<{}@{domain}>", letter.key)))
        .date(UNIX_EPOCH + age)
        .from(mailbox(letter.from)?)
        .subject(on_one_line(&letter.subject));
    for to in letter.to {
        builder = builder.to(mailbox(to)?);
    }
    if let Some(reply_to) = &letter.reply_to {
        builder = builder.reply_to(mailbox(reply_to)?);
    }
    // What answers a machine's letter with a machine's letter is to keep quiet (RFC 3834).
    builder = builder.header(AutoSubmitted);
    let text = SinglePart::plain(letter.text.replace('\r', ""));
    // Not at random, so that every try is the same to the byte.
    let parts_of = |kind: MultiPartKind, place: &[&str]| {
        let boundary = derived("boundary", &[&[letter.key], place].concat());
        MultiPart::builder().kind(kind).boundary(boundary)
    };
    let part = |enclosure: Enclosure, is_shown: bool| {
        let Enclosure { name, media_type, bytes } = enclosure;
        let content_type = ContentType::parse(&media_type).map_err(|error| unfit(&error))?;
        // Base 64 keeps every byte, line ends of texts too.
        let bytes = Body::new_with_encoding(bytes, ContentTransferEncoding::Base64)
            .map_err(|_bytes| unfit(&"it is too long".to_owned()))?;
        let name = on_one_line(&name);
        let attachment =
            if is_shown { Attachment::new_inline(name) } else { Attachment::new(name) };
        Ok::<_, Setback>(attachment.body(bytes, content_type))
    };
    let said = match letter.page {
        None => Part::One(text),
        Some(Page { html, pictures }) => {
            let mut page =
                parts_of(MultiPartKind::Related, &["page"]).singlepart(SinglePart::html(html));
            for picture in pictures {
                page = page.singlepart(part(picture, true)?);
            }
            let both = parts_of(MultiPartKind::Alternative, &["both"]);
            Part::Several(both.singlepart(text).multipart(page))
        }
    };
    let message = if letter.enclosures.is_empty() {
        match said {
            Part::One(text) => builder.singlepart(text),
            Part::Several(parts) => builder.multipart(parts),
        }
    } else {
        let mixed = parts_of(MultiPartKind::Mixed, &[]);
        let mut parts = match said {
            Part::One(text) => mixed.singlepart(text),
            Part::Several(parts) => mixed.multipart(parts),
        };
        for enclosure in letter.enclosures {
            parts = parts.singlepart(part(enclosure, false)?);
        }
        builder.multipart(parts)
    };
    Ok(message.map_err(|error| unfit(&error))?.formatted())
}

/// What a letter says: as text, or as text and page.
enum Part {
    One(SinglePart),
    Several(MultiPart),
}

/// `Auto-Submitted: auto-generated`.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_value: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// A text from outside that cannot look like a line of ours.
pub fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What went wrong, in the server's words where it said any; 200 characters at most.
fn words(error: &Error) -> String {
    let text = crate::base::causes::one_line(error);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
#[path = "mail/tests.rs"]
pub(crate) mod tests;
