//! Mail: a third party gets previews, a print shop around the corner gets originals.
//!
//! In:  a parcel. Out: one mail with the members attached, to everybody that the spec names.
//!
//! What becomes of it is not told: the parcel is done when the mail server took the mail. After a
//! try of which that is not known the same mail is sent again, with the same Message-ID; a mailbox
//! that does not look at it may show the mail twice, so a print shop should go by the order number.
//!
//! What is larger than mail servers take is fetched by link, if the spec says so; else the parcel
//! is refused, and the owner is told why.

use std::fmt::Write as _;
use std::io::Read;

use serde::{Deserialize, Serialize};

use super::{Carries, Files, Progress, Setback, Taken, Target};
use crate::base::mail::{MailAddress, MailServer};
use crate::base::member::Member;
use crate::base::money::decimal;
use crate::orders::mail::{Enclosure, Letter, on_one_line, post};
use crate::orders::outward::Outward;
use crate::orders::parcel::{Line, Parcel, Recipient};
use crate::orders::webhook::MemberMessage;
use crate::store::OrderState;

/// What is attached to one mail at most, in bytes: base64 makes a third more of it, and mail
/// servers take 20 to 25 MB.
const ATTACHED_BYTES_MAX: u64 = 14 * 1024 * 1024;

/// How a third party gets mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Who gets it, 1 to 20; all of them see all of them.
    pub to: Vec<MailAddress>,
    /// Who it is from; the server has to know it.
    pub from: MailAddress,
    /// Who takes it from us; its password is the provider's secret.
    pub server: MailServer,
    /// Whether the mail names the addresses where the files can be fetched too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub link: bool,
    /// Whether it names the addressee, for somebody who ships goods.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub address: bool,
}

impl Spec {
    /// What mail can carry.
    pub const fn carries(&self) -> Carries {
        Carries {
            batches: true,
            bytes: true,
            crop: false,
            companions: true,
            address: self.address,
            contact: false,
            progress: false,
            cancels: false,
        }
    }
}

/// Sends mail.
#[derive(Debug)]
pub struct Mail {
    spec: Spec,
    password: String,
    outward: Outward,
}

impl Mail {
    /// - `secret`: the password of the mail server's user; empty where it has none
    pub fn new(spec: &Spec, secret: &str, outward: Outward) -> Self {
        Self { spec: spec.clone(), password: secret.to_owned(), outward }
    }

    fn text(&self, parcel: &Parcel, is_attached: bool) -> String {
        let mut text = String::new();
        let name = on_one_line(&parcel.sender.name);
        let goods = parcel.lines.iter().any(|line| line.product.is_some());
        let what = if goods { "orders from you" } else { "shares with you" };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name} {what}:\n");
        for (index, line) in parcel.lines.iter().enumerate() {
            let _ = writeln!(text, "{}. {}", index + 1, words(line, &parcel.currency));
            for member in &line.members {
                let size_kb = member.bytes_count.div_ceil(1000);
                let _ = writeln!(text, "   {} ({size_kb} kB)", on_one_line(&member.name));
                if self.spec.link {
                    let _ = writeln!(text, "   {}", on_one_line(&member.url));
                }
            }
        }
        text.push('\n');
        if parcel.express {
            text.push_str("It is urgent.\n");
        }
        if let Some(delivery) = &parcel.delivery {
            let _ = writeln!(text, "Delivery: {}", on_one_line(delivery));
        }
        if let Some(recipient) = parcel.recipient.as_ref().filter(|_| self.spec.address) {
            let _ = writeln!(text, "Ship to:\n{}", label(recipient));
        }
        if !is_attached {
            text.push_str(
                "The files are too large for a mail: please fetch them from the links.\n",
            );
        }
        let about = on_one_line(parcel.sender.address.trim_start_matches("mailto:"));
        let _ = writeln!(text, "\nOrder {}. Questions: {about}", parcel.parcel_key);
        text
    }
}

impl Target for Mail {
    fn carries(&self) -> Carries {
        self.spec.carries()
    }

    fn send(&self, parcel: &Parcel, files: &dyn Files) -> Result<Taken, Setback> {
        let members =
            || parcel.lines.iter().flat_map(|line| line.members.iter().map(move |m| (line, m)));
        let bytes_count = members().fold(0_u64, |sum, (_, m)| sum.saturating_add(m.bytes_count));
        let is_attached = bytes_count <= ATTACHED_BYTES_MAX;
        if !is_attached && !self.spec.link {
            return Err(Setback::refused(format!(
                "{bytes_count} bytes are too much for a mail, the limit is {ATTACHED_BYTES_MAX}: \
                 agree to `link = true`, or to fewer orders in one parcel"
            )));
        }
        let attached = members().filter(|_| is_attached);
        let enclosures = attached.map(|(line, member)| enclose(line, member, files));
        let photos_count = parcel.lines.len();
        let letter = Letter {
            key: &parcel.parcel_key,
            from: &self.spec.from,
            reply_to: reply_to(&parcel.sender.address),
            to: &self.spec.to,
            subject: match photos_count {
                1 => format!("A photo from {}", parcel.sender.name),
                _ => format!("{photos_count} photos from {}", parcel.sender.name),
            },
            text: self.text(parcel, is_attached),
            at: parcel.created_at,
            page: None,
            enclosures: enclosures.collect::<Result<_, _>>()?,
        };
        post(letter, &self.spec.server, &self.password, &self.outward)?;
        Ok(Taken { remote: parcel.parcel_key.clone(), progress: self.handed_over() })
    }

    fn follow(&self, _parcel_key: &str, _remote: &str) -> Result<Progress, Setback> {
        Ok(self.handed_over())
    }
}

impl Mail {
    fn handed_over(&self) -> Progress {
        let to: Vec<&str> = self.spec.to.iter().map(MailAddress::as_str).collect();
        let (host, to) = (&self.spec.server.host, to.join(", "));
        let note = format!("`{host}` took the mail to {to}; whether it arrives is not told");
        Progress { state: OrderState::Done, note, look_again_s: None }
    }
}

/// Reads a member to its end.
fn enclose(line: &Line, member: &MemberMessage, files: &dyn Files) -> Result<Enclosure, Setback> {
    let name = on_one_line(&member.name);
    let trouble = |why: String| Setback::not_taken(format!("`{name}` cannot be read: {why}"));
    let reader = files.open(&line.order_key, member).map_err(|error| trouble(error.to_string()))?;
    let mut bytes = Vec::new();
    // One more, so that a file that grew is seen.
    let read = reader.take(member.bytes_count.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| trouble(error.to_string()))?;
    if bytes.len() as u64 != member.bytes_count {
        return Err(trouble("it was changed".into()));
    }
    Ok(Enclosure { name, media_type: member.media_type.clone(), bytes })
}

/// What one line asks for.
fn words(line: &Line, currency: &str) -> String {
    let Some((name, product)) = &line.product else {
        let is_preview = line.members.iter().any(|member| member.role == Member::Preview);
        return if is_preview { "a photo to look at" } else { "a photo" }.to_owned();
    };
    let mut text = format!("{} x {}", on_one_line(product.code(name)), line.copies);
    if let Some(size) = product.size {
        let _ = write!(text, ", {} x {} mm", size.width_mm, size.height_mm);
    }
    if let Some(finish) = &product.finish {
        let _ = write!(text, ", {}", on_one_line(finish));
    }
    for (name, value) in &product.attributes {
        let _ = write!(text, ", {}: {}", on_one_line(name), on_one_line(value));
    }
    let price = decimal(line.price_minor);
    let _ = write!(text, ", {price} {currency} (order {})", line.order_key);
    text
}

/// The address as on a parcel.
fn label(to: &Recipient) -> String {
    let town = format!("{} {}", to.postal_code, to.town);
    let lines = [
        Some(&to.name),
        Some(&to.line1),
        to.line2.as_ref(),
        Some(&town),
        to.state.as_ref(),
        Some(&to.country_code),
    ];
    let lines: Vec<String> = lines.into_iter().flatten().map(|line| on_one_line(line)).collect();
    lines.join("\n")
}

/// Where answers go: to the owner, where their address is one for mail.
fn reply_to(address: &str) -> Option<MailAddress> {
    MailAddress::try_from(address.strip_prefix("mailto:")?.to_owned()).ok()
}

#[cfg(test)]
#[path = "mail/tests.rs"]
mod tests;
