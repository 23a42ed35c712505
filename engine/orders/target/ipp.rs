//! Printers: any that speak IPP Everywhere, which are those that phones print on without a driver.
//!
//! One job for each line of a parcel, the original as it is, to the bit. What the printer has is
//! asked first: an order that it cannot make is refused before anything is sent, with what it has.
//!
//! Exactly once: a job is made without its document first (Create-Job), and nothing comes out of
//! it before the document was sent (Send-Document). So only a document of which the last byte
//! left and whose answer did not come leaves a doubt. Then the printer is asked for the job, by the
//! name that only this line has. A printer that knows no such job proves that there was none only
//! if it would remember it: when it still knows one that is older, or was on all the time and the
//! order is not older than [`MEMORY_S`]. Otherwise the order stays in doubt for the owner to see;
//! it is never printed on a guess.
//!
//! What nobody can know: a printer that prints half a photo when the connection breaks (CUPS' own
//! test printer does) and then says that it printed the job. Where we see the break, that job is
//! cancelled before the photo is sent again.
//!
//! Many printers take one job at a time and say that they are busy meanwhile: the order waits.
//!
//! Knows nothing of sizes and papers (`offer`), states of jobs (`job`) and bytes (`wire`).

mod job;
mod offer;
mod wire;

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use self::job::{Job, Stage};
use self::wire::{Answer, Attribute, Group, Operation, Outcome, Status, Value};
use super::{Cancelled, Carries, Fate, Files, Means, Progress, Search, Setback, Taken, Target};
use crate::base::clock::Timestamp;
use crate::orders::outward::{Body, Call, Outward};
use crate::orders::parcel::{Line, Parcel};
use crate::orders::webhook::MemberMessage;
use crate::store::OrderState;

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

/// When a printer that is busy or does not take jobs is asked again, in seconds.
const BUSY_S: i64 = 5;
const NOT_ACCEPTING_S: i64 = 60;

/// When a doubt that only the owner can end is looked at again, in seconds.
const DOUBT_S: i64 = 3600;

/// What a printer is given.
pub(super) const CARRIES: Carries = Carries {
    batches: false,
    bytes: true,
    crop: false,
    companions: false,
    address: false,
    contact: false,
    progress: true,
    cancels: true,
};

/// How the owner wants a printer to print. Part of the signed consent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// How carefully.
    pub quality: Quality,
    /// Paper of products without a finish, in the printer's word, such as `photographic-glossy`;
    /// absent: what the printer does by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What happens to a photo of another shape than the paper.
    pub scaling: Scaling,
    /// Who decides which way the photo lies.
    pub orientation: Orientation,
}

/// How carefully a printer prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// Fast.
    Draft,
    /// As usual.
    Normal,
    /// As well as it can.
    #[default]
    High,
}

/// What happens to a photo of another shape than the paper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// It fills the paper, and what stands over is cut off.
    #[default]
    Fill,
    /// All of it is seen, and the rest stays white.
    Fit,
    /// `fit` when it is larger than the paper, as it is when it is smaller.
    AutoFit,
    /// The printer decides.
    Auto,
    /// It stays as large as it says that it is.
    None,
}

/// Who decides which way a photo lies on the paper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// The printer.
    #[default]
    Printer,
    /// We, from the pixels of the upright photo: for printers that never turn one.
    Photo,
}

impl Quality {
    const fn number(self) -> i32 {
        match self {
            Self::Draft => 3,
            Self::Normal => 4,
            Self::High => 5,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

impl Scaling {
    const fn word(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Fit => "fit",
            Self::AutoFit => "auto-fit",
            Self::Auto => "auto",
            Self::None => "none",
        }
    }
}

/// One printer.
pub struct Printer {
    spec: Spec,
    /// As the printer wants to be called.
    uri: String,
    /// Where it listens, or why its address is none.
    url: Result<String, String>,
    outward: Outward,
    clock: fn() -> Timestamp,
}

/// Whether a printer would remember a job.
struct Memory {
    jobs: Vec<Job>,
    /// Whether those that are over are listed, from the newest to `oldest_age_s`.
    is_listed: bool,
    /// All of those that are not over are listed.
    is_whole: bool,
    /// How long the printer has been on.
    up_s: Option<i32>,
}

impl Printer {
    /// A printer at `ipp://…` or `ipps://…`.
    pub fn new(spec: &Spec, means: Means) -> Self {
        let Means { orders_url: uri, outward, .. } = means;
        Self { spec: spec.clone(), url: http_url(&uri), uri, outward, clock: Timestamp::now }
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
    fn about(&self, asked: &[&str]) -> Result<Group, Setback> {
        let asked = vec![user(), keywords(asked)];
        let answer = self.look(Operation::GetPrinterAttributes, asked)?;
        done(&self.uri, &answer.status)?;
        Ok(answer.printer)
    }

    /// What the printer knows of jobs, and how far back.
    fn memory(&self) -> Result<Memory, Setback> {
        let jobs = |which: &str| {
            let which = ("which-jobs", Value::Keyword(which.to_owned()));
            let limit = ("limit", Value::Integer(JOBS_MAX));
            self.look(Operation::GetJobs, vec![user(), limit, which, keywords(&job::ASKED)])
        };
        let active = jobs("not-completed")?;
        done(&self.uri, &active.status)?;
        let over = jobs("completed")?;
        let up_s = self.about(&["printer-up-time"])?.number("printer-up-time");
        let is_whole = active.jobs.len() < JOBS_MAX.unsigned_abs() as usize;
        let is_listed = over.status.outcome() == Outcome::Done;
        let jobs = active.jobs.iter().chain(&over.jobs).filter_map(Job::read).collect();
        Ok(Memory { jobs, is_listed, is_whole, up_s })
    }

    /// A job by its number; `None`: the printer does not know it as a job of this parcel.
    fn job(&self, parcel_key: &str, id: i32) -> Result<Option<Job>, Setback> {
        let asked = vec![("job-id", Value::Integer(id)), user(), keywords(&job::ASKED)];
        let answer = self.look(Operation::GetJobAttributes, asked)?;
        if answer.status.code == Status::NOT_FOUND {
            return Ok(None);
        }
        done(&self.uri, &answer.status)?;
        let job = answer.jobs.first().and_then(Job::read);
        let job = job.ok_or_else(|| {
            Setback::not_taken(format!("`{}` says nothing about job {id}", self.uri))
        })?;
        Ok(Some(job).filter(|job| job.is_of(parcel_key)))
    }

    /// The numbers of all jobs of a parcel.
    fn ids_of(&self, parcel_key: &str) -> Result<Vec<i32>, Setback> {
        let jobs = self.memory()?.jobs.into_iter();
        Ok(jobs.filter(|job| job.is_of(parcel_key)).map(|job| job.id).collect())
    }

    /// Asks for the end of a job.
    fn stop(&self, id: i32) -> Result<Answer, Setback> {
        let which = vec![("job-id", Value::Integer(id)), user()];
        self.ask(Operation::CancelJob, which, Vec::new(), None)
    }

    /// Prints one line; gives the number of its job.
    fn print(
        &self,
        name: &str,
        wanted: offer::Job,
        line: &Line,
        photo: &MemberMessage,
        files: &dyn Files,
    ) -> Result<i32, Setback> {
        // Before there is a job that would wait for it.
        let document = files.open(&line.order_key, photo);
        let document = document.map_err(|error| {
            Setback::not_taken(format!("`{}` cannot be read: {error}", photo.name))
        })?;
        let called = ("job-name", Value::Name(name.to_owned()));
        let created = self
            .ask(Operation::CreateJob, vec![user(), called], wanted.attributes, None)
            .and_then(|answer| done(&self.uri, &answer.status).map(|()| answer))
            .map_err(|setback| match setback.fate {
                // There may be a job now, but nothing comes of it without its document.
                Fate::Unknown => Setback { fate: Fate::NotTaken, ..setback },
                _ => setback,
            })?;
        let id = created.jobs.iter().find_map(|job| job.number("job-id")).ok_or_else(|| {
            Setback::not_taken(format!("`{}` took a job and did not number it", self.uri))
        })?;
        if created.unsupported.has("media-col") {
            self.give_up(id);
            return Err(Setback::refused(format!("`{}` does not take this paper", self.uri)));
        }
        let left = AtomicU64::new(photo.bytes_count);
        let document = Box::new(Counted { document, left: &left });
        let which = vec![
            ("job-id", Value::Integer(id)),
            user(),
            ("document-format", Value::MediaType(wanted.format)),
            ("last-document", Value::Boolean(true)),
        ];
        let document = Some((document as Box<dyn Read + Send + '_>, photo.bytes_count));
        let sent = self.ask(Operation::SendDocument, which, Vec::new(), document);
        let Err(mut setback) = sent.and_then(|answer| done(&self.uri, &answer.status)) else {
            return Ok(id);
        };
        let is_half = left.load(Ordering::Relaxed) > 0;
        match setback.fate {
            // Printers do print half a photo, so it has to be taken back before it is sent again.
            Fate::Unknown if is_half && self.give_up(id) => setback.fate = Fate::NotTaken,
            Fate::Unknown => {}
            Fate::NotTaken | Fate::Away | Fate::Refused => {
                self.give_up(id);
            }
        }
        Err(setback)
    }

    /// Takes back a job that has no document or half of one; says whether the printer did. One
    /// without a document that stays prints nothing, and the printer ends it in its own time.
    fn give_up(&self, id: i32) -> bool {
        let stopped = self.stop(id).and_then(|answer| done(&self.uri, &answer.status));
        if let Err(setback) = &stopped {
            tracing::warn!(job = id, why = %setback.why, "a job cannot be taken back");
        }
        stopped.is_ok()
    }

    fn unsettled(&self) -> String {
        format!("`{}` is still taking an earlier try in, or stopping it", self.uri)
    }

    /// The parcel as taken: the numbers of its jobs, and since when.
    fn taken(&self, ids: &[i32], progress: Progress) -> Taken {
        let ids: Vec<String> = ids.iter().map(i32::to_string).collect();
        Taken { remote: format!("{}@{}", ids.join(","), (self.clock)().seconds()), progress }
    }

    /// What the printer says is wrong with it, in words.
    fn trouble(&self) -> Result<(Option<String>, Option<i32>), Setback> {
        let about = self.about(&["printer-state-reasons", "printer-up-time"])?;
        let trouble = job::words(about.texts("printer-state-reasons"));
        Ok((trouble, about.number("printer-up-time")))
    }
}

impl Target for Printer {
    fn carries(&self) -> Carries {
        CARRIES
    }

    fn send(&self, parcel: &Parcel, files: &dyn Files) -> Result<Taken, Setback> {
        let printer = self.about(&offer::ASKED)?;
        let wanted = parcel.lines.iter().map(|line| offer::job(&printer, &self.spec, line));
        let wanted: Vec<offer::Job> = wanted
            .collect::<Result<_, String>>()
            .map_err(|why| Setback::refused(format!("`{}`: {why}", self.uri)))?;
        if printer.flag("printer-is-accepting-jobs") == Some(false) {
            let why = job::words(printer.texts("printer-state-reasons"));
            let why = why.map_or(String::new(), |why| format!(": {why}"));
            let why = format!("`{}` takes no jobs now{why}", self.uri);
            return Err(Setback::away(why).after(Some(NOT_ACCEPTING_S)));
        }
        let known = self.memory()?.jobs;
        for job in known.iter().filter(|job| job.is_of(&parcel.parcel_key)) {
            match job.stage() {
                Stage::Unsettled => {
                    return Err(Setback::not_taken(self.unsettled()).after(Some(BUSY_S)));
                }
                Stage::Empty => {
                    self.give_up(job.id);
                }
                Stage::Void | Stage::Taken => {}
            }
        }
        let notes: Vec<String> = wanted.iter().flat_map(|job| job.notes.clone()).collect();
        let mut ids = Vec::new();
        for (index, (line, wanted)) in parcel.lines.iter().zip(wanted).enumerate() {
            let name = Job::name(&parcel.parcel_key, index + 1);
            // One line alone is sent only when it surely is not there, or half of it was taken
            // back. Of several some may be there.
            let mut there = known.iter().filter(|_| parcel.lines.len() > 1);
            let there = there.find(|job| job.is_called(&name) && job.stage() == Stage::Taken);
            let id = match (there, line.members.first()) {
                (Some(job), _) => Ok(job.id),
                (None, Some(photo)) => self.print(&name, wanted, line, photo, files),
                (None, None) => Err(Setback::refused("the order has no photo")),
            };
            // With a part of the parcel at the printer the rest is not simply refused.
            ids.push(id.map_err(|setback| match setback.fate {
                _ if ids.is_empty() => setback,
                _ => Setback { fate: Fate::Unknown, ..setback },
            })?);
        }
        let note = if notes.is_empty() { "at the printer".into() } else { notes.join("; ") };
        let look_again_s = Some(2);
        Ok(self.taken(&ids, Progress { state: OrderState::Accepted, note, look_again_s }))
    }

    fn find(&self, parcel: &Parcel) -> Result<Search, Setback> {
        let doubt = |setback| Setback { fate: Fate::Unknown, ..setback };
        let memory = self.memory().map_err(doubt)?;
        let mut ids = Vec::new();
        for line_number in 1..=parcel.lines.len() {
            let name = Job::name(&parcel.parcel_key, line_number);
            let mut ours = memory.jobs.iter().filter(|job| job.is_called(&name));
            if ours.clone().any(|job| job.stage() == Stage::Unsettled) {
                return Err(Setback::unknown(self.unsettled()).after(Some(BUSY_S)));
            }
            let has_any = ours.clone().next().is_some();
            match ours.find(|job| job.stage() == Stage::Taken) {
                Some(job) => ids.push(job.id),
                // What came of it is known: nothing.
                None if has_any => return Ok(Search::SendAgain),
                None if memory.reaches_to(parcel.created_at, (self.clock)()) => {
                    return Ok(Search::SendAgain);
                }
                None => {
                    let why = format!(
                        "`{}` may have printed this and does not remember: look whether it lies \
                         there, then cancel the order or let it go again",
                        self.uri
                    );
                    return Err(Setback::unknown(why).after(Some(DOUBT_S)));
                }
            }
        }
        let progress = Progress {
            state: OrderState::Accepted,
            note: "at the printer".into(),
            look_again_s: Some(2),
        };
        Ok(Search::Found(self.taken(&ids, progress)))
    }

    fn follow(&self, parcel_key: &str, remote: &str) -> Result<Progress, Setback> {
        let (ids, taken_s) = read_remote(remote)?;
        let mut all = Vec::new();
        let (trouble, up_s) = self.trouble()?;
        for id in ids {
            all.push(match self.job(parcel_key, id)? {
                Some(job) => job.progress(trouble.as_deref()),
                None => forgotten(up_s, (self.clock)().seconds() - taken_s),
            });
        }
        together(all).ok_or_else(|| Setback::not_taken("no job to follow"))
    }

    fn cancel(&self, parcel_key: &str, remote: &str) -> Result<Cancelled, Setback> {
        // While it is not known whether the printer has it, `remote` is not one of ours.
        let ids = match read_remote(remote) {
            Ok((ids, _taken_s)) => ids,
            Err(_) => self.ids_of(parcel_key)?,
        };
        for id in ids {
            let Some(job) = self.job(parcel_key, id)? else {
                return Ok(Cancelled::TooLate("the printer no longer knows the job".into()));
            };
            if job.is_completed() {
                return Ok(Cancelled::TooLate("it was printed".into()));
            }
            if job.is_over() {
                continue;
            }
            let answer = self.stop(id)?;
            match answer.status.code {
                Status::NOT_POSSIBLE | Status::NOT_FOUND => {
                    return Ok(Cancelled::TooLate(answer.status.words));
                }
                _ => done(&self.uri, &answer.status)?,
            }
        }
        Ok(Cancelled::Stopped("cancelled at the printer".into()))
    }
}

impl Memory {
    /// Whether a job that came after a moment would be among those listed.
    fn reaches_to(&self, moment: Timestamp, now: Timestamp) -> bool {
        let Some(up_s) = self.up_s else { return false };
        let age_s = now.seconds().saturating_sub(moment.seconds());
        let is_older = |job: &Job| job.is_over() && i64::from(job.age_s(up_s)) > age_s;
        let was_on = i64::from(up_s) > age_s && age_s <= MEMORY_S;
        self.is_whole && self.is_listed && (was_on || self.jobs.iter().any(is_older))
    }
}

/// What a job means that the printer took and no longer knows.
///
/// - `up_s`: how long the printer has been on
/// - `age_s`: how long ago it took the job
fn forgotten(up_s: Option<i32>, age_s: i64) -> Progress {
    let was_on = up_s.is_some_and(|up_s| i64::from(up_s) > age_s);
    let (state, note) = if was_on {
        (OrderState::Done, "printed, as far as the printer still knows")
    } else {
        (
            OrderState::Failed,
            "the printer was switched off and has forgotten the job: look whether it lies there \
             before it is ordered again",
        )
    };
    Progress { state, note: note.into(), look_again_s: None }
}

/// What the jobs of a parcel mean together: as far as the one that is furthest behind; over when
/// all are.
fn together(all: Vec<Progress>) -> Option<Progress> {
    let rank = |progress: &Progress| match progress.state {
        _ if progress.look_again_s.is_some() && progress.state == OrderState::Accepted => 0,
        _ if progress.look_again_s.is_some() => 1,
        OrderState::Failed => 2,
        OrderState::Cancelled => 3,
        _ => 4,
    };
    all.into_iter().min_by_key(rank)
}

/// Reads what [`Printer::taken`] wrote: numbers of jobs, seconds since 1970.
fn read_remote(remote: &str) -> Result<(Vec<i32>, i64), Setback> {
    let read = || {
        let (ids, taken_s) = remote.split_once('@')?;
        let ids = ids.split(',').map(|id| id.parse().ok()).collect::<Option<Vec<i32>>>()?;
        Some((ids, taken_s.parse().ok()?))
    };
    read().ok_or_else(|| Setback::refused(format!("`{remote}` names no job of a printer")))
}

/// Whether a printer did as it was asked; where it says that it did not, it has not acted at all.
fn done(uri: &str, status: &Status) -> Result<(), Setback> {
    let why = format!("`{uri}`: {}", status.words);
    match status.outcome() {
        Outcome::Done => Ok(()),
        Outcome::Never => Err(Setback::refused(why)),
        Outcome::NotNow => Err(Setback::away(why).after(Some(BUSY_S))),
        Outcome::Unheard => Err(Setback::unknown(why)),
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
pub(super) fn http_url(uri: &str) -> Result<String, String> {
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

/// A document, and how much of it is still here.
struct Counted<'a> {
    document: Box<dyn Read + Send>,
    left: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes_count = self.document.read(buffer)?;
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(bytes_count as u64), Ordering::Relaxed);
        Ok(bytes_count)
    }
}

#[cfg(test)]
mod tests;
