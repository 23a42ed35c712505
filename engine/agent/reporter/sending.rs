//! One try to send one thing: a mail to the owner, or an event to an address of theirs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Reporter, words};
use crate::agent::mailer::password;
use crate::base::calendar::Span;
use crate::base::clock::Timestamp;
use crate::base::files::{Readers, write_atomic};
use crate::base::ids::derived;
use crate::base::money::written;
use crate::orders::mail::{Enclosure, Letter, Page, post};
use crate::orders::outward::{Body, Call};
use crate::orders::webhook::{event, sign};
use crate::reports::html::{self, Medium};
use crate::reports::notice::{
    ACCESS_EVENT, AccessNotice, LIE_EVENT, LieNotice, REPORT_EVENT, ReportNotice,
};
use crate::reports::{Report, words as report_words};
use crate::store::{About, Telling};

/// Pictures in one mail.
const PICTURES_MAX: usize = 24;

impl Reporter {
    /// Sends a mail with the report that a telling is about.
    pub(super) fn send_mail(&self, telling: &Telling) -> Result<(), String> {
        let Some(mail) = &self.mail else { return Err("there is no [mail]".into()) };
        let report = self.report(telling)?;
        let pictures = self.author(telling.made_at).pictures(&report, PICTURES_MAX);
        let enclosed = pictures.iter().map(|(photo, picture)| Enclosure {
            name: html::content_id(photo),
            media_type: "image/jpeg".into(),
            bytes: picture.jpeg.clone(),
        });
        let agent_id = self.key.public().thumbprint();
        let letter = Letter {
            key: &derived("report", &[&agent_id, &telling.name, mail.to.as_str()]),
            from: &mail.from,
            reply_to: None,
            to: std::slice::from_ref(&mail.to),
            subject: subject(&report),
            text: report_words::text(&report),
            page: Some(Page {
                html: html::page(&report, &pictures, Medium::Mail),
                pictures: enclosed.collect(),
            }),
            at: telling.made_at,
            enclosures: Vec::new(),
        };
        let password = password(&self.home, mail)?;
        post(letter, &mail.server, &password, &self.outward.current()).map_err(|no| no.why)
    }

    /// Sends the event that a telling is about.
    pub(super) fn send_event(&self, telling: &Telling, now: Timestamp) -> Result<(), String> {
        let report = self.report(telling)?;
        match &telling.about {
            About::Span { from, to, .. } => {
                let span = Span { from: *from, to: *to };
                let notice = ReportNotice::of(&report, &telling.name, span);
                self.post_event(REPORT_EVENT, &telling.name, notice, telling.made_at, now)
            }
            About::Lies { .. } => {
                let notice = LieNotice { lies: report.lies };
                self.post_event(LIE_EVENT, &telling.name, notice, telling.made_at, now)
            }
            About::News { .. } => {
                let Some(access) = report.accesses.first() else {
                    return Err("the access is not in the store any more".into());
                };
                let grant_id = access.grant_id.clone();
                let notice = AccessNotice::of(access);
                self.post_event(ACCESS_EVENT, &grant_id, notice, telling.made_at, now)
            }
        }
    }

    fn post_event<D: serde::Serialize>(
        &self,
        kind: &str,
        subject: &str,
        data: D,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), String> {
        let Some(url) = &self.wanted.webhook else { return Err("there is no webhook".into()) };
        let agent_id = self.key.public().thumbprint();
        let id = derived("report event", &[&agent_id, kind, subject]);
        let event = event(kind, id, subject.to_owned(), data, &agent_id, at);
        let secret = self.secret()?;
        let secrets: Vec<&str> = secret.split_whitespace().collect();
        let message = sign(&event, &secrets, |bytes| self.key.sign(bytes), now).map_err(words)?;
        let (headers, body) = (message.headers(), Body::Bytes(message.body.as_bytes()));
        let call = Call { method: "POST", url, headers, body };
        let reply = self.outward.current().call(call).map_err(|setback| setback.why)?;
        match reply.status {
            200..=299 => Ok(()),
            status => Err(format!("the receiver answered {status}: {}", reply.words())),
        }
    }

    /// The secret that signs events; made when there is none yet.
    fn secret(&self) -> Result<String, String> {
        let path = self.home.report_webhook_path();
        let trouble = |error: std::io::Error| format!("`{}`: {error}", path.display());
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut secret = [0; 32];
                getrandom::fill(&mut secret).map_err(|error| error.to_string())?;
                let text = format!("whsec_{}\n", STANDARD.encode(secret));
                write_atomic(&path, text.as_bytes(), Readers::OwnerOnly).map_err(trouble)?;
                Ok(text)
            }
            Err(error) => Err(trouble(error)),
        }
    }
}

/// `Signet: 3 accesses, you got 0.40 EUR, November 2026`
fn subject(report: &Report) -> String {
    let got: Vec<String> = report
        .totals
        .iter()
        .map(|total| format!("{} {}", written(total.owner_minor, &total.currency), total.currency))
        .collect();
    match report.accesses.len() {
        _ if !report.lies.is_empty() => {
            format!("Signet: THE HUB SAID WHAT CANNOT BE TRUE, {}", report.title)
        }
        0 => format!("Signet: nothing was fetched, {}", report.title),
        1 => format!("Signet: 1 access, you got {}, {}", got.join(" and "), report.title),
        count => {
            format!("Signet: {count} accesses, you got {}, {}", got.join(" and "), report.title)
        }
    }
}
