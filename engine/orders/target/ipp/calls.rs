//! The operations of a printer, one function for each, over HTTP.
//!
//! In:  what to ask. Out: what the printer says, or a [`Setback`] that says whether it may have acted.
//!
//! Whatever goes wrong with a question, the printer has not acted; nor does it with a job that has
//! no document. So of all calls only the document's can leave a doubt.

use std::io::Read;

use super::job::{self, Job};
use super::wire::{self, Answer, Attribute, Group, Operation, Outcome, Status, Value};
use crate::base::clock::Timestamp;
use crate::orders::outward::{Body, Call, Outward};
use crate::orders::target::{Fate, Setback};

/// What IPP travels as.
const MEDIA_TYPE: &str = "application/ipp";

/// Port of `ipp://` and `ipps://` where the address names none.
const PORT: u16 = 631;

/// Who the printer is told that a job is from.
const USER: &str = "signet";

/// Most jobs of a printer that are looked through; more are a doubt.
const JOBS_MAX: i32 = 150;

/// How long every printer remembers a job that is over, in seconds.
const MEMORY_S: i64 = 60;

/// When a printer that is busy is asked again, in seconds.
pub(super) const BUSY_S: i64 = 5;

/// The line to one printer.
pub(super) struct Calls {
    /// As the printer wants to be called.
    pub(super) uri: String,
    /// Where it listens, or why its address is none.
    url: Result<String, String>,
    outward: Outward,
}

/// Whether a printer would remember a job.
pub(super) struct Memory {
    /// Those that it lists.
    pub(super) jobs: Vec<Job>,
    /// Whether those that are over are listed, from the newest on.
    pub(super) is_listed: bool,
    /// All of those that are not over are listed.
    pub(super) is_whole: bool,
    /// How long the printer has been on.
    pub(super) up_s: Option<i32>,
}

impl Calls {
    pub(super) fn new(uri: String, outward: Outward) -> Self {
        Self { url: http_url(&uri), uri, outward }
    }

    /// Asks for one operation and reads the answer, whatever its status.
    ///
    /// # Errors
    /// Also when the answer is none.
    fn ask(
        &self,
        operation: Operation,
        of_operation: Vec<Attribute>,
        of_job: Vec<Attribute>,
        document: Option<(Box<dyn Read + Send + '_>, u64)>,
    ) -> Result<Answer, Setback> {
        let url = self.url.as_ref().map_err(Setback::refused)?;
        let request = wire::request(operation, &self.uri, of_operation, of_job);
        let request = request.map_err(|error| Setback::refused(error.to_string()))?;
        let body = match document {
            None => Body::Bytes(&request),
            Some((document, bytes_count)) => Body::Stream(
                Box::new(request.as_slice().chain(document)),
                bytes_count.saturating_add(request.len() as u64),
            ),
        };
        let headers = vec![("content-type", MEDIA_TYPE.to_owned())];
        let reply = self.outward.call(Call { method: "POST", url, headers, body })?;
        match reply.status {
            200..=299 if reply.is_whole => Answer::read(reply.body).ok_or_else(|| {
                Setback::unknown(format!("`{}` answers something that is not IPP", self.uri))
            }),
            200..=299 => Err(Setback::unknown(format!("`{}` answers too much or half", self.uri))),
            401 | 403 => Err(Setback::refused(format!(
                "`{}` wants to know who prints: let it print without a password for this computer",
                self.uri
            ))),
            429 | 503 => {
                let why = format!("`{}` is busy", self.uri);
                Err(Setback::away(why).after(reply.retry_after_s.or(Some(BUSY_S))))
            }
            status => {
                let why = format!("`{}` answers {status}: {}", self.uri, reply.words());
                let is_ours = (400..500).contains(&status);
                Err(if is_ours { Setback::refused(why) } else { Setback::unknown(why) })
            }
        }
    }

    /// Asks for something that changes nothing.
    fn look(&self, operation: Operation, asked: Vec<Attribute>) -> Result<Answer, Setback> {
        self.url.as_ref().map_err(Setback::refused)?;
        // Whatever went wrong, the printer has not acted, and what is wrong may be mended there.
        self.ask(operation, asked, Vec::new(), None).map_err(|setback| match setback.fate {
            Fate::Away => setback,
            _ => Setback { fate: Fate::NotTaken, ..setback },
        })
    }

    /// What the printer says about itself.
    pub(super) fn about(&self, asked: &[&str]) -> Result<Group, Setback> {
        let asked = vec![user(), keywords(asked)];
        let answer = self.look(Operation::GetPrinterAttributes, asked)?;
        self.done(&answer.status)?;
        Ok(answer.printer)
    }

    /// What the printer knows of jobs, and how far back.
    pub(super) fn memory(&self) -> Result<Memory, Setback> {
        let jobs = |which: &str| {
            let which = ("which-jobs", Value::Keyword(which.to_owned()));
            let limit = ("limit", Value::Integer(JOBS_MAX));
            self.look(Operation::GetJobs, vec![user(), limit, which, keywords(&job::ASKED)])
        };
        let active = jobs("not-completed")?;
        self.done(&active.status)?;
        let over = jobs("completed")?;
        let up_s = self.about(&["printer-up-time"])?.number("printer-up-time");
        let is_whole = active.jobs.len() < JOBS_MAX.unsigned_abs() as usize;
        let is_listed = over.status.outcome() == Outcome::Done;
        let jobs = active.jobs.iter().chain(&over.jobs).filter_map(Job::read).collect();
        Ok(Memory { jobs, is_listed, is_whole, up_s })
    }

    /// A job by its number; `None`: the printer does not know it as a job of this parcel.
    pub(super) fn job(&self, parcel_key: &str, id: i32) -> Result<Option<Job>, Setback> {
        let asked = vec![("job-id", Value::Integer(id)), user(), keywords(&job::ASKED)];
        let answer = self.look(Operation::GetJobAttributes, asked)?;
        if answer.status.code == Status::NOT_FOUND {
            return Ok(None);
        }
        self.done(&answer.status)?;
        let job = answer.jobs.first().and_then(Job::read);
        let job = job.ok_or_else(|| {
            Setback::not_taken(format!("`{}` says nothing about job {id}", self.uri))
        })?;
        Ok(Some(job).filter(|job| job.is_of(parcel_key)))
    }

    /// Makes a job that waits for its document; gives its number and what is not done of what was
    /// asked for.
    pub(super) fn create(
        &self,
        name: &str,
        attributes: Vec<Attribute>,
    ) -> Result<(i32, Group), Setback> {
        let called = ("job-name", Value::Name(name.to_owned()));
        let created = self.ask(Operation::CreateJob, vec![user(), called], attributes, None);
        let created = created.and_then(|answer| self.done(&answer.status).map(|()| answer));
        let created = created.map_err(|setback| match setback.fate {
            // There may be a job now, but nothing comes of it without its document.
            Fate::Unknown => Setback { fate: Fate::NotTaken, ..setback },
            _ => setback,
        })?;
        let id = created.jobs.iter().find_map(|job| job.number("job-id")).ok_or_else(|| {
            Setback::not_taken(format!("`{}` took a job and did not number it", self.uri))
        })?;
        Ok((id, created.unsupported))
    }

    /// Sends the one document of a job.
    ///
    /// - `format`: its media type
    pub(super) fn send_document(
        &self,
        id: i32,
        format: String,
        document: Box<dyn Read + Send + '_>,
        bytes_count: u64,
    ) -> Result<(), Setback> {
        let which = vec![
            ("job-id", Value::Integer(id)),
            user(),
            ("document-format", Value::MediaType(format)),
            ("last-document", Value::Boolean(true)),
        ];
        let document = Some((document, bytes_count));
        let answer = self.ask(Operation::SendDocument, which, Vec::new(), document)?;
        self.done(&answer.status)
    }

    /// Asks for the end of a job.
    pub(super) fn stop(&self, id: i32) -> Result<Status, Setback> {
        let which = vec![("job-id", Value::Integer(id)), user()];
        self.ask(Operation::CancelJob, which, Vec::new(), None).map(|answer| answer.status)
    }

    /// Whether the printer did as it was asked; where it says that it did not, it has not acted at
    /// all.
    pub(super) fn done(&self, status: &Status) -> Result<(), Setback> {
        let why = format!("`{}`: {}", self.uri, status.words);
        match status.outcome() {
            Outcome::Done => Ok(()),
            Outcome::Never => Err(Setback::refused(why)),
            Outcome::NotNow => Err(Setback::away(why).after(Some(BUSY_S))),
            Outcome::Unheard => Err(Setback::unknown(why)),
        }
    }
}

impl Memory {
    /// Whether a job that came after a moment would be among those listed.
    pub(super) fn reaches_to(&self, moment: Timestamp, now: Timestamp) -> bool {
        let Some(up_s) = self.up_s else { return false };
        let age_s = now.seconds().saturating_sub(moment.seconds());
        let is_older = |job: &Job| job.is_over() && i64::from(job.age_s(up_s)) > age_s;
        let was_on = i64::from(up_s) > age_s && age_s <= MEMORY_S;
        self.is_whole && self.is_listed && (was_on || self.jobs.iter().any(is_older))
    }
}

fn user() -> Attribute {
    ("requesting-user-name", Value::Name(USER.to_owned()))
}

fn keywords(asked: &[&str]) -> Attribute {
    let asked = asked.iter().map(|&word| Value::Keyword(word.to_owned()));
    ("requested-attributes", Value::List(asked.collect()))
}

/// Where HTTP goes for `ipp://` and `ipps://`.
pub(in super::super) fn http_url(uri: &str) -> Result<String, String> {
    let (scheme, rest) = match (uri.strip_prefix("ipp://"), uri.strip_prefix("ipps://")) {
        (Some(rest), _) => ("http", rest),
        (_, Some(rest)) => ("https", rest),
        _ => {
            return Err(format!(
                "`{uri}` is no address of a printer: write `ipp://name-or-number/ipp/print`"
            ));
        }
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    // A port follows the last colon, unless that one is inside the brackets of an IPv6 address.
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let host = if has_port { host.to_owned() } else { format!("{host}:{PORT}") };
    Ok(format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests;
