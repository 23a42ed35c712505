//! The blocking half of an agent: from files to orders, in one loop.
//!
//! In:  what the collector and the workers tell, saved rules and icons.
//! Out: what was seen, in the index; orders, in the state; events.
//!
//! The loop alone writes. It never waits for a worker, and judges at most
//! [`JUDGED_PER_TURN_MAX`] photos before it listens again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::analyse::{Analysis, Eyes};
use super::books::{ConsentBook, RuleBook, RuleChange, known};
use super::intake::{Intake, is_changed};
use super::judge::{Judge, Judged, Outcome, Readiness, Until, arrive};
use super::worker::{self, Job, Report, Seen};
use super::{AgentError, AgentEvent, Tell, Wishes, keep, lock};
use crate::access::people_book::{self, Register};
use crate::base::clock::Timestamp;
use crate::base::config::Config;
use crate::base::file_state::FileState;
use crate::base::home::{Home, make_private_dir};
use crate::base::ids::ContentHash;
use crate::collection::{Collector, Event, Outlets, Root, Settings};
use crate::media::{Decoders, heif};
use crate::store::index::{Index, PhotoRow};
use crate::store::{Decisions, Held, OrderState, State};

/// Jobs handed to workers ahead of time, for each worker.
const JOBS_AHEAD: usize = 4;

/// How often rule files and retries are looked at.
const TICK: Duration = Duration::from_millis(250);

/// The longest time that a photo waits to be judged, however busy its collection is.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// Photos judged in one turn of the loop; the rest wait for the next.
const JUDGED_PER_TURN_MAX: usize = 100;

/// How late a file system may tell the time; twice and more what kernels do.
const FILE_TIME_LATE_MAX: Duration = Duration::from_millis(25);

/// Pauses before a photo that could not be read for outside reasons is tried again.
const RETRY_WAITS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(60),
];

/// The blocking half: from files to orders.
pub(super) struct PhotoLoop {
    pub(super) home: Home,
    pub(super) config: Config,
    pub(super) state: Arc<State>,
    pub(super) decisions: Decisions,
    pub(super) index: Arc<Mutex<Index>>,
    pub(super) consent: Arc<ConsentBook>,
    pub(super) rules: RuleBook,
    pub(super) refused_rules: Option<RuleChange>,
    pub(super) eyes: Arc<Mutex<Arc<Eyes>>>,
    pub(super) wishes: Wishes,
    pub(super) wake: Arc<Notify>,
    pub(super) tell: Tell,
    /// Photos that are to be judged, and which they are.
    pub(super) waiting: Vec<Waiting>,
    pub(super) queued: BTreeSet<ContentHash>,
    /// When the last photo of each collection came.
    pub(super) arrivals: BTreeMap<String, Instant>,
    /// Who may be named.
    pub(super) register: Register,
    /// Of how many consents that are over the owner was told.
    pub(super) consents_over_told: usize,
}

/// A photo that is to be judged.
pub(super) struct Waiting {
    pub(super) photo: ContentHash,
    /// Where it was found.
    pub(super) collection: String,
    pub(super) since: Instant,
    /// It was judged, something of it would leave, and it waits for that.
    pub(super) held: Option<Until>,
    /// Files beside it that may be its companions and were not read when it was.
    pub(super) beside: Vec<PathBuf>,
}

/// What the loop is told by its threads.
pub(super) enum Message {
    Collection(Event),
    Looked(Box<Report>),
}

impl PhotoLoop {
    pub(super) fn run(mut self, shutdown: &watch::Receiver<bool>) -> Result<(), AgentError> {
        if let Some(change) = self.refused_rules.take() {
            self.tell_rules(&change);
        }
        let first_started = self.first_starts()?;
        self.retry_with_library()?;
        if self.wishes.include_existing {
            self.order_existing()?;
        }
        let (messages, inbox) = mpsc::channel();
        let (jobs, workers) = self.start_workers(&messages);
        let (events, found) = mpsc::sync_channel(1024);
        let roots = self.config.collections.iter();
        let roots = roots.map(|c| Root { collection: c.name.clone(), path: c.path.clone() });
        let watch = &self.config.watch;
        let settings = Settings {
            quiet_ms: watch.quiet_ms,
            rescan_minutes: watch.rescan_minutes.max(1),
            own_folder: Some(self.home.watch_dir())
                .filter(|folder| make_private_dir(folder).is_ok()),
            ..Settings::new(self.home.index_path())
        };
        let outlets = Outlets { live: events.clone(), scan: events };
        let collector = Collector::start(roots.collect(), &settings, &outlets)?;
        drop(outlets);
        let intake = self.start_intake(found, jobs.clone(), messages);

        let mut retries: Vec<(Instant, Job)> = Vec::new();
        // What an earlier run left to be judged.
        self.find_waiting()?;
        let mut eyes = eye_files(&self.home);
        let result = loop {
            if *shutdown.borrow() {
                break Ok(());
            }
            if let Err(error) = self.judge_waiting() {
                break Err(error);
            }
            let handled = match inbox.recv_timeout(self.patience()) {
                Ok(Message::Collection(event)) => self.note_collection(event).map(|()| Vec::new()),
                Ok(Message::Looked(report)) => self.keep(*report, &first_started),
                Err(RecvTimeoutError::Timeout) => Ok(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
            };
            match handled {
                Ok(again) => retries.extend(again),
                Err(error) => break Err(error),
            }
            self.refresh_eyes(&mut eyes);
            self.tell_consents_over();
            if let Some(change) = self.rules.refresh() {
                self.tell_rules(&change);
            }
            let now = Instant::now();
            let due: Vec<_> = retries.extract_if(.., |(at, _)| *at <= now).collect();
            for (_, job) in due {
                // Full means busy: the next tick comes soon.
                if let Err(mpsc::TrySendError::Full(job)) = jobs.try_send(job) {
                    retries.push((now + TICK, job));
                }
            }
        };
        collector.shutdown();
        drop(jobs);
        drop(inbox);
        for thread in workers.into_iter().chain([intake]) {
            let _ = thread.join();
        }
        result
    }

    /// Has photos looked at again that only lacked a library which is there by now.
    fn retry_with_library(&self) -> Result<(), AgentError> {
        let keep_error = |source| AgentError::Keep { what: "what was seen", source };
        if lock(&self.index).failed_for(heif::NAME).map_err(keep_error)? == 0 {
            return Ok(());
        }
        let posture = Decoders::sandboxed().decoder().posture().unwrap_or_default();
        if posture.libraries.iter().any(|library| library.holds && library.name == heif::NAME) {
            lock(&self.index).retry_failed_for(heif::NAME).map_err(keep_error)?;
        }
        Ok(())
    }

    /// Sees with the icons, people and face networks that were added or removed since; photos looked
    /// at before stay as they were seen.
    fn refresh_eyes(&mut self, seen: &mut EyeFiles) {
        let files = eye_files(&self.home);
        if files == *seen {
            return;
        }
        *seen = files;
        match Eyes::of(&self.config, &self.home) {
            Ok(eyes) => {
                let names = eyes.icon_names();
                let mut text = format!("{} icons are looked for from now on", names.len());
                if let Some(people_count) = eyes.people_count() {
                    text = format!("{text}, and faces of {people_count} people");
                }
                *self.eyes.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(eyes);
                (self.tell)(AgentEvent::Warning { text });
                // One that cannot be opened has failed above, where it is needed.
                if let Ok(known) = known(&self.home, names)
                    && let Some(change) = self.rules.learn(known)
                {
                    self.tell_rules(&change);
                }
            }
            Err(error) => {
                let text = format!(
                    "icons and people stay as they were: {}",
                    crate::base::causes::one_line(&error)
                );
                (self.tell)(AgentEvent::Warning { text });
            }
        }
    }

    /// Tells once of consents that are over: those people are not recognised any more.
    fn tell_consents_over(&mut self) {
        let eyes = self.eyes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let count = eyes.consents_over_count();
        if count > self.consents_over_told {
            let text = format!(
                "consent of {count} is over: their faces are not recognised any more; `signet people \
                 list` says whose, `signet people remove` erases them"
            );
            (self.tell)(AgentEvent::Warning { text });
        }
        self.consents_over_told = count;
    }

    /// When each collection was first watched.
    ///
    /// File systems tell the time up to a hundredth of a second late. So that whatever is
    /// saved from now on has a change time after the first start, a first start waits until
    /// that much has passed before anything is watched.
    fn first_starts(&self) -> Result<BTreeMap<String, Timestamp>, AgentError> {
        let now = Timestamp::now();
        let mut starts = BTreeMap::new();
        for collection in &self.config.collections {
            let first = self
                .state
                .collection_started(&collection.name, now)
                .map_err(|source| AgentError::Keep { what: "the first start", source })?;
            starts.insert(collection.name.clone(), first);
        }
        if starts.values().any(|first| *first == now) {
            let until = Instant::now() + FILE_TIME_LATE_MAX;
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                std::thread::park_timeout(left);
            }
        }
        Ok(starts)
    }

    fn start_workers(&self, messages: &Sender<Message>) -> (SyncSender<Job>, Vec<JoinHandle<()>>) {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers_count = match self.config.detection.workers {
            0 => cores,
            count => count,
        };
        let (jobs, todo) = mpsc::sync_channel::<Job>(workers_count * JOBS_AHEAD);
        let todo = Arc::new(Mutex::new(todo));
        let threads = (0..workers_count).map(|_| {
            let worker = worker::Worker {
                eyes: self.eyes.clone(),
                index: self.index.clone(),
                home: self.home.clone(),
                owner: self.config.owner.clone(),
                quiet_ms: i64::try_from(self.config.watch.quiet_ms).unwrap_or(i64::MAX),
            };
            let (todo, messages) = (todo.clone(), messages.clone());
            std::thread::spawn(move || {
                worker
                    .run(&todo, &|report| messages.send(Message::Looked(Box::new(report))).is_ok());
            })
        });
        let threads = threads.collect();
        (jobs, threads)
    }

    /// Passes files on that are not known yet, and everything else that the collector says.
    fn start_intake(
        &self,
        found: Receiver<Event>,
        jobs: SyncSender<Job>,
        messages: Sender<Message>,
    ) -> JoinHandle<()> {
        let roots = self.config.collections.iter().map(|c| (c.name.clone(), c.path.clone()));
        let intake = Intake { index: self.index.clone(), roots: roots.collect(), jobs, messages };
        std::thread::spawn(move || intake.run(&found))
    }

    /// How long a collection has to be quiet.
    fn settle(&self) -> Duration {
        Duration::from_millis(self.config.roll.settle_ms).min(SETTLE_MAX)
    }

    /// How long a photo waits for its companions.
    fn grace(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.group.grace_s))
    }

    /// How long the loop may wait for something to happen.
    fn patience(&self) -> Duration {
        match self.waiting.iter().any(|photo| photo.held.is_none()) {
            true => Duration::ZERO,
            false if self.waiting.is_empty() => TICK,
            false => TICK.min(self.settle()),
        }
    }

    /// Takes up what the index says is to be judged.
    fn find_waiting(&mut self) -> Result<(), AgentError> {
        let keep_error = |source| AgentError::Keep { what: "what was seen", source };
        let index = self.index.clone();
        let index = lock(&index);
        for photo in index.photos_to_judge().map_err(keep_error)? {
            let place = index.first_place(&photo).map_err(keep_error)?;
            let collection = place.map(|(collection, _)| collection).unwrap_or_default();
            self.queue(photo, &collection, Vec::new());
        }
        Ok(())
    }

    /// Puts a photo behind those that are to be judged; one that is among them is looked at
    /// anew.
    ///
    /// - `beside`: files beside it that may be its companions and were not read yet
    pub(super) fn queue(&mut self, photo: ContentHash, collection: &str, beside: Vec<PathBuf>) {
        if self.queued.insert(photo) {
            let (collection, since) = (collection.to_owned(), Instant::now());
            self.waiting.push(Waiting { photo, collection, since, held: None, beside });
        } else if let Some(waiting) = self.waiting.iter_mut().find(|known| known.photo == photo) {
            waiting.held = None;
        }
    }

    /// Judges the photos whose turn has come.
    fn judge_waiting(&mut self) -> Result<(), AgentError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (now, settle, grace) = (Instant::now(), self.settle(), self.grace());
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut ready = false;
        let mut result = Ok(());
        let mut left_count = JUDGED_PER_TURN_MAX;
        waiting.retain_mut(|photo| {
            let quiet_since = self.arrivals.get(&photo.collection).copied().unwrap_or(photo.since);
            let is_settled = now.duration_since(quiet_since.max(photo.since)) >= settle
                || now.duration_since(photo.since) >= SETTLE_MAX;
            let is_grace_over = now.duration_since(photo.since) >= grace;
            let is_due = match photo.held {
                None => true,
                Some(Until::Settled) => is_settled,
                Some(Until::Complete) => is_grace_over,
            };
            if result.is_err() || left_count == 0 || !is_due {
                return true;
            }
            left_count -= 1;
            let unread = self.unread(photo);
            let readiness = Readiness { is_settled, is_grace_over, unread: &unread };
            match self.judge(&photo.photo, readiness) {
                Ok(Ok(is_ready)) => {
                    ready |= is_ready;
                    false
                }
                Ok(Err(until)) => {
                    photo.held = Some(until);
                    true
                }
                Err(error) => {
                    result = Err(error);
                    true
                }
            }
        });
        self.waiting = waiting;
        self.queued = self.waiting.iter().map(|photo| photo.photo).collect();
        if ready {
            self.wake.notify_one();
        }
        result
    }

    /// Files beside a photo that were there when it was read and were not read themselves.
    fn unread(&self, photo: &Waiting) -> Vec<PathBuf> {
        let index = lock(&self.index);
        let is_unread = |path: &&PathBuf| {
            index.held_at(&photo.collection, path).is_ok_and(|held| held.is_none())
        };
        photo.beside.iter().filter(is_unread).cloned().collect()
    }

    /// Judges one photo, does what follows and marks it. Tells whether an order may go out, or
    /// what the photo waits for.
    fn judge(
        &self,
        photo: &ContentHash,
        readiness: Readiness<'_>,
    ) -> Result<Result<bool, Until>, AgentError> {
        let keep_error = |source| AgentError::Keep { what: "an order", source };
        let providers = self.consent.providers();
        let judge = Judge {
            index: &self.index,
            state: &self.state,
            decisions: &self.decisions,
            rules: self.rules.set(),
            providers: &providers,
            icons: self.config.icons,
            register: &self.register,
        };
        let judged = judge.judge(photo, readiness, Timestamp::now()).map_err(keep_error)?;
        let outcome = match judged {
            Judged::Now(outcome) => outcome,
            Judged::Later(until) => return Ok(Err(until)),
        };
        if !outcome.keep || self.keep_privately(photo, &outcome) {
            lock(&self.index).set_judged(photo, true).map_err(keep_error)?;
        }
        let orders = &outcome.orders;
        let ready = orders.new.iter().chain(&orders.changed);
        let ready = ready.filter(|order| order.state == OrderState::Ready).count() > 0;
        self.tell_outcome(*outcome);
        Ok(Ok(ready))
    }

    /// Copies an original into the private folder. One that cannot be copied is told of and
    /// tried again at the next start.
    fn keep_privately(&self, photo: &ContentHash, outcome: &Outcome) -> bool {
        let (collection, path) = (outcome.collection.clone(), outcome.relative.clone());
        let places = lock(&self.index).locations(photo).unwrap_or_default();
        let here = places.iter().map(|place| (place.collection.as_str(), place.path.as_path()));
        let here = here.chain([(collection.as_str(), path.as_path())]);
        let mut trouble = "its collection is not watched".to_owned();
        for (collection, path) in here {
            let root = self.config.collections.iter().find(|root| root.name == collection);
            let Some(root) = root else { continue };
            match keep::keep(&self.home, photo, &root.path.join(path)) {
                Ok(None) => return true,
                Ok(Some(copy)) => {
                    let (collection, path) = (outcome.collection.clone(), outcome.relative.clone());
                    (self.tell)(AgentEvent::KeptPrivately { collection, path, copy });
                    return true;
                }
                Err(error) => trouble = crate::base::causes::one_line(&error),
            }
        }
        (self.tell)(AgentEvent::Warning {
            text: format!(
                "`{}` could not be kept privately: {trouble}; it is tried again at the next start",
                path.display()
            ),
        });
        false
    }

    fn tell_outcome(&self, outcome: Outcome) {
        let Outcome { collection, relative, orders, notes, failures, .. } = outcome;
        for failure in failures {
            (self.tell)(AgentEvent::RuleFailed { path: relative.clone(), failure });
        }
        for text in notes {
            let (collection, path) = (collection.clone(), relative.clone());
            (self.tell)(AgentEvent::Note { collection, path, text });
        }
        for order in orders.new {
            (self.tell)(AgentEvent::Planned(Box::new(order)));
        }
        for order in orders.changed {
            (self.tell)(AgentEvent::Changed(Box::new(order)));
        }
        for order in orders.withdrawn {
            (self.tell)(AgentEvent::Withdrawn { order_key: order.order_key });
        }
        for order in orders.kept {
            let (order_key, path) = (order.order_key, order.relative);
            (self.tell)(AgentEvent::Stays { order_key, path });
        }
    }

    /// Keeps what a worker found; gives jobs that follow from it.
    ///
    /// A file that changed since it was read is read again: nobody tells of one that got or
    /// lost another name.
    fn keep(
        &mut self,
        report: Report,
        first_started: &BTreeMap<String, Timestamp>,
    ) -> Result<Vec<(Instant, Job)>, AgentError> {
        let read = report.seen.state().map(|state| (report.job.clone(), state));
        let mut jobs = self.keep_seen(report, first_started)?;
        if let Some((job, state)) = read
            && is_changed(&job.path, &state)
        {
            jobs.extend(later(job).ok());
        }
        Ok(jobs)
    }

    /// Keeps what a worker found; gives jobs that are to be done, and when: the same again, or
    /// what lies beside a photo.
    fn keep_seen(
        &mut self,
        report: Report,
        first_started: &BTreeMap<String, Timestamp>,
    ) -> Result<Vec<(Instant, Job)>, AgentError> {
        let Report { job, seen } = report;
        tracing::trace!(path = ?job.relative, state = ?seen.state(), "looked at");
        self.arrivals.insert(job.collection.clone(), Instant::now());
        let keep_error = |source| AgentError::Keep { what: "what was seen", source };
        match seen {
            Seen::Gone => self.expect_no_more(&job),
            Seen::Busy(reason) => {
                match later(job) {
                    Ok(later) => return Ok(vec![later]),
                    // The next scan finds it again.
                    Err(job) => self.tell_unreadable(&job, reason),
                }
            }
            Seen::Alone(state) => self.keep_alone(&job, &state).map_err(keep_error)?,
            Seen::Unreadable { state, error } => {
                if let Some(state) = state {
                    self.keep_failure(&mut lock(&self.index), &job, &state, &error)
                        .map_err(keep_error)?;
                }
                self.expect_no_more(&job);
                self.tell_unreadable(&job, error);
            }
            Seen::Beside(seen) => self.keep_beside(&job, seen)?,
            Seen::Known { state, photo } => {
                self.keep_file(&mut lock(&self.index), &job, &state, &photo).map_err(keep_error)?;
            }
            Seen::New { state, photo, mut analysis, beside } => {
                // Somebody may have been removed since the photo was looked at.
                let held = analysis.names_people().then(|| self.register.hold());
                if let Some(held) = &held {
                    analysis.forget_others(|name| held.is_enrolled(name));
                }
                analysis.forget_strangers();
                let first = first_started.get(&job.collection).copied();
                let existing = first.is_some_and(|first| arrived_at(&state) <= first)
                    && !self.wishes.include_existing;
                self.tell_photo(&job, photo, &analysis, existing);
                let row = PhotoRow {
                    hash: photo,
                    analysis_json: serde_json::to_string(&analysis).unwrap_or_default(),
                    first_seen: Timestamp::now(),
                    may_order: !existing,
                };
                let pause_ms = i64::from(self.config.roll.pause_minutes) * 60_000;
                let mut index = lock(&self.index);
                index.begin_batch().map_err(keep_error)?;
                index.record_photo(&row).map_err(keep_error)?;
                self.keep_file(&mut index, &job, &state, &photo).map_err(keep_error)?;
                let place = (job.collection.as_str(), job.relative.as_path());
                let changed =
                    arrive(&mut index, &photo, place, &analysis, (self.config.icons, pause_ms))
                        .map_err(keep_error)?;
                // Raw data that came before its picture is no photo any more, and is to be
                // judged before that picture is.
                let mut raws = Vec::new();
                for path in &beside {
                    let held = index.held_at(&job.collection, path).map_err(keep_error)?;
                    if let Some(Held::Photo(raw, _)) = held
                        && index.judge_again(&raw).map_err(keep_error)?
                    {
                        raws.push(raw);
                    }
                }
                index.commit_batch().map_err(keep_error)?;
                drop(index);
                drop(held);
                for raw in raws {
                    self.queue(raw, &job.collection, Vec::new());
                }
                let jobs = beside.iter().map(|path| (Instant::now(), job.beside(path))).collect();
                for other in changed {
                    let beside = if other == photo { beside.clone() } else { Vec::new() };
                    self.queue(other, &job.collection, beside);
                }
                return Ok(jobs);
            }
        }
        Ok(Vec::new())
    }

    /// Orders from photos that were looked at in earlier runs without ordering.
    fn order_existing(&self) -> Result<(), AgentError> {
        let keep_error = |source| AgentError::Keep { what: "an order", source };
        let held = lock(&self.index).held_photos().map_err(keep_error)?;
        for row in held {
            let mut index = lock(&self.index);
            let hash = row.hash;
            index.record_photo(&PhotoRow { may_order: true, ..row }).map_err(keep_error)?;
            index.set_judged(&hash, false).map_err(keep_error)?;
        }
        Ok(())
    }

    fn note_collection(&mut self, event: Event) -> Result<(), AgentError> {
        match &event {
            Event::Vanished { .. } | Event::ScanDone { .. } => self.drop_lost_marks()?,
            Event::Found { collection, relative, .. } => {
                self.judge_beside(collection, relative)?;
            }
            _ => {}
        }
        self.tell_collection(event);
        Ok(())
    }

    fn tell_collection(&self, event: Event) {
        (self.tell)(match event {
            Event::ScanProgress { collection, photos_count } => {
                AgentEvent::Scanning { collection, files_count: photos_count, done: false }
            }
            Event::ScanDone { collection, photos_count, .. } => {
                AgentEvent::Scanning { collection, files_count: photos_count, done: true }
            }
            Event::EventsLost { collection, times_count } => {
                AgentEvent::EventsLost { collection, times_count }
            }
            Event::Offline { collection } => AgentEvent::Reachable { collection, online: false },
            Event::Online { collection } => AgentEvent::Reachable { collection, online: true },
            Event::Warning { text, .. } => AgentEvent::Warning { text },
            Event::Vanished { .. }
            | Event::ScanStarted { .. }
            | Event::Found { .. }
            | Event::Missing { .. } => return,
        });
    }

    fn tell_photo(&self, job: &Job, photo: ContentHash, analysis: &Analysis, existing: bool) {
        let icons = analysis.icons.iter().map(|icon| match icon.tier {
            crate::detection::Tier::Order => icon.name.clone(),
            crate::detection::Tier::Ask => format!("{}?", icon.name),
        });
        (self.tell)(AgentEvent::Photo {
            collection: job.collection.clone(),
            path: job.relative.clone(),
            photo,
            icons: icons.collect(),
            card: analysis.card,
            existing,
        });
    }

    fn tell_unreadable(&self, job: &Job, error: String) {
        let (collection, path) = (job.collection.clone(), job.relative.clone());
        (self.tell)(AgentEvent::Unreadable { collection, path, error });
    }

    fn tell_rules(&self, change: &RuleChange) {
        let mistakes = match change {
            RuleChange::Taken(_) => Vec::new(),
            RuleChange::Refused(mistakes) => mistakes.clone(),
        };
        let revision = self.rules.set().revision().to_owned();
        (self.tell)(AgentEvent::Rules { revision, mistakes });
    }
}

/// When a job is tried again; the job itself when it was tried often enough.
fn later(mut job: Job) -> Result<(Instant, Job), Job> {
    let Some(wait) = RETRY_WAITS.get(job.attempts_count) else { return Err(job) };
    job.attempts_count += 1;
    Ok((Instant::now() + *wait, job))
}

/// Names, sizes and times of what the eyes go by: enough to see that one came or went.
type EyeFiles = Vec<(PathBuf, u64, Option<std::time::SystemTime>)>;

/// The owner's icons and seals, the face networks, and who is enrolled.
fn eye_files(home: &Home) -> EyeFiles {
    let below = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let icons = below(home.icons_dir())
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "svg"));
    let networks = below(home.face_models_dir()).map(|entry| entry.path());
    let mut files: EyeFiles = icons
        .chain(networks)
        .chain([home.seals_path(), home.vault_path(people_book::NAME)])
        .filter_map(|path| {
            let data = path.metadata().ok()?;
            Some((path, data.len(), data.modified().ok()))
        })
        .collect();
    files.sort();
    files
}

/// When a file came to where it is: its change time, which no program can set back.
fn arrived_at(state: &FileState) -> Timestamp {
    Timestamp(state.changed_ns.div_euclid(1_000_000))
}
