//! Printers: any that speak IPP Everywhere, which are those that phones print on without a driver.
//!
//! One job for each line of a parcel, the original as it is, to the bit. What the printer has is
//! asked first: an order that it cannot make is refused before anything is sent, with what it has.
//!
//! Exactly once: a job is made without its document first (Create-Job), and nothing comes out of
//! it before the document was sent (Send-Document). So only a document of which the last byte
//! left and whose answer did not come leaves a doubt. Then the printer is asked for the job, by the
//! name that only this line has. A printer that knows no such job proves that there was none only
//! if it would remember it (`calls::Memory`). Otherwise the order stays in doubt for the owner to
//! see; it is never printed on a guess.
//!
//! What nobody can know: a printer that prints half a photo when the connection breaks (CUPS' own
//! test printer does) and then says that it printed the job. Where we see the break, that job is
//! cancelled before the photo is sent again.
//!
//! Many printers take one job at a time and say that they are busy meanwhile: the order waits.
//!
//! Knows nothing of operations (`calls`), sizes and papers (`offer`), states of jobs (`job`) and
//! bytes (`wire`).

mod calls;
mod job;
mod offer;
mod spec;
mod wire;

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use self::calls::{BUSY_S, Calls};
use self::job::{Job, Stage};
use self::wire::Status;
use super::{Cancelled, Carries, Fate, Files, Means, Progress, Search, Setback, Taken, Target};
use crate::base::clock::Timestamp;
use crate::orders::parcel::{Line, Parcel};
use crate::orders::webhook::MemberMessage;
use crate::store::OrderState;

pub(super) use self::calls::http_url;
pub use self::spec::{Orientation, Quality, Scaling, Spec};

/// When a printer that does not take jobs is asked again, in seconds.
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

/// One printer.
pub struct Printer {
    spec: Spec,
    calls: Calls,
    clock: fn() -> Timestamp,
}

impl Printer {
    /// A printer at `ipp://…` or `ipps://…`.
    pub fn new(spec: &Spec, means: Means) -> Self {
        let calls = Calls::new(means.orders_url, means.outward);
        Self { spec: spec.clone(), calls, clock: Timestamp::now }
    }

    /// The numbers of all jobs of a parcel.
    fn ids_of(&self, parcel_key: &str) -> Result<Vec<i32>, Setback> {
        let jobs = self.calls.memory()?.jobs.into_iter();
        Ok(jobs.filter(|job| job.is_of(parcel_key)).map(|job| job.id).collect())
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
        let (id, unsupported) = self.calls.create(name, wanted.attributes)?;
        if unsupported.has("media-col") {
            self.give_up(id);
            return Err(Setback::refused(format!("`{}` does not take this paper", self.calls.uri)));
        }
        let left = AtomicU64::new(photo.bytes_count);
        let document = Box::new(Counted { document, left: &left });
        let sent = self.calls.send_document(id, wanted.format, document, photo.bytes_count);
        let Err(mut setback) = sent else { return Ok(id) };
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
        let stopped = self.calls.stop(id).and_then(|status| self.calls.done(&status));
        if let Err(setback) = &stopped {
            tracing::warn!(job = id, why = %setback.why, "a job cannot be taken back");
        }
        stopped.is_ok()
    }

    fn unsettled(&self) -> String {
        format!("`{}` is still taking an earlier try in, or stopping it", self.calls.uri)
    }

    /// The parcel as taken: the numbers of its jobs, and since when.
    fn taken(&self, ids: &[i32], progress: Progress) -> Taken {
        let ids: Vec<String> = ids.iter().map(i32::to_string).collect();
        Taken { remote: format!("{}@{}", ids.join(","), (self.clock)().seconds()), progress }
    }

    /// What the printer says is wrong with it, in words.
    fn trouble(&self) -> Result<(Option<String>, Option<i32>), Setback> {
        let about = self.calls.about(&["printer-state-reasons", "printer-up-time"])?;
        let trouble = job::words(about.texts("printer-state-reasons"));
        Ok((trouble, about.number("printer-up-time")))
    }
}

impl Target for Printer {
    fn carries(&self) -> Carries {
        CARRIES
    }

    fn send(&self, parcel: &Parcel, files: &dyn Files) -> Result<Taken, Setback> {
        let printer = self.calls.about(&offer::ASKED)?;
        let wanted = parcel.lines.iter().map(|line| offer::job(&printer, &self.spec, line));
        let wanted: Vec<offer::Job> = wanted
            .collect::<Result<_, String>>()
            .map_err(|why| Setback::refused(format!("`{}`: {why}", self.calls.uri)))?;
        if printer.flag("printer-is-accepting-jobs") == Some(false) {
            let why = job::words(printer.texts("printer-state-reasons"));
            let why = why.map_or(String::new(), |why| format!(": {why}"));
            let why = format!("`{}` takes no jobs now{why}", self.calls.uri);
            return Err(Setback::away(why).after(Some(NOT_ACCEPTING_S)));
        }
        let known = self.calls.memory()?.jobs;
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
        let memory = self.calls.memory().map_err(doubt)?;
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
                        self.calls.uri
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
            all.push(match self.calls.job(parcel_key, id)? {
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
            let Some(job) = self.calls.job(parcel_key, id)? else {
                return Ok(Cancelled::TooLate("the printer no longer knows the job".into()));
            };
            if job.is_completed() {
                return Ok(Cancelled::TooLate("it was printed".into()));
            }
            if job.is_over() {
                continue;
            }
            let status = self.calls.stop(id)?;
            match status.code {
                Status::NOT_POSSIBLE | Status::NOT_FOUND => {
                    return Ok(Cancelled::TooLate(status.words));
                }
                _ => self.calls.done(&status)?,
            }
        }
        Ok(Cancelled::Stopped("cancelled at the printer".into()))
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
