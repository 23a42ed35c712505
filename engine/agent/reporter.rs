//! Tells the owner what was fetched: by mail, at an address of theirs, in a feed.
//!
//! In:  the store. Out: a mail after each access or at the end of each day, week or month; a signed
//! event for each access and each span; `reports/feed.xml`. "Nothing" is told too.
//!
//! Everything that is to be told is kept first, by a name that follows from what it is about
//! (`store/tellings`), so a restart neither forgets nor repeats it. What did not get through is tried
//! again, later and later, under the same Message-ID or event id; what comes behind it waits, so that
//! all arrives in its order. A way that is wanted for the first time tells nothing of what was before.
//!
//! Pictures and paths go into the owner's mail and nowhere else.

mod sending;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::books::OutwardBook;
use super::mailer::WAITS_S;
use super::report::Author;
use super::{AgentEvent, Tell};
use crate::access::{Key, LinkKey};
use crate::base::calendar::{Cycle, Period, Span, Zone};
use crate::base::clock::Timestamp;
use crate::base::config::{Mail, Often, Reporting};
use crate::base::files::{Readers, write_atomic};
use crate::base::home::{Home, make_private_dir};
use crate::base::ids::derived;
use crate::reports::feed::{Feed, Item, atom};
use crate::reports::lies::Lied;
use crate::reports::notice::{AccessNotice, ReportNotice};
use crate::reports::{Report, Scope};
use crate::store::tellings::Tried;
use crate::store::{About, Begun, State, StoreError, Telling};
use crate::web::FEED;

/// How often the store is asked.
const POLL: Duration = Duration::from_secs(2);

/// A span is told of so long after its end, when all that fell into it is kept.
const SETTLE_MS: i64 = 60_000;

/// Spans that ended while nothing ran and are told of all the same, and those in the feed.
const SPANS_MAX: usize = 12;

/// What a hub was caught at is told of by itself so long after: then all of one round is kept.
const LIES_GATHER_MS: i64 = 10_000;

/// Accesses that are told of at once, and those in the feed.
const NEWS_MAX: u32 = 50;

/// What a receiver did not take after so many tries, over some four days, it does not get.
const ATTEMPTS_MAX: u32 = 50;

/// Where a computer's feed is found.
///
/// - `base`: how the computer is reached, without a slash at the end
pub fn feed_url(links: &LinkKey, base: &str) -> String {
    format!("{base}/v1/feed/{}", links.secret(FEED, ""))
}

/// Tells the owner.
pub(super) struct Reporter {
    pub(super) home: Home,
    pub(super) owner: String,
    pub(super) wanted: Reporting,
    pub(super) mail: Option<Mail>,
    pub(super) feed_url: String,
    pub(super) key: Arc<Key>,
    pub(super) state: Arc<State>,
    pub(super) outward: Arc<OutwardBook>,
    pub(super) zone: Zone,
    pub(super) tell: Tell,
}

/// A way in which the owner is told, and how it went lately.
struct Way {
    name: &'static str,
    /// Accesses are told of one by one or together, when they are so old; else not by themselves.
    news: Option<News>,
    /// Spans that are told of.
    cycle: Option<Cycle>,
    /// Since when; unknown before its first turn.
    begun: Option<Begun>,
    /// The last span that was looked at.
    planned: Option<String>,
    /// Until when lies of the hub were looked for.
    lies_until: Timestamp,
    failed_count: usize,
    not_before: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct News {
    gather_ms: i64,
    at_once_max: u32,
}

/// What the feed was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FeedState {
    newest: i64,
    last_span: String,
    lies_count: usize,
}

/// What is remembered from turn to turn.
struct Memory {
    /// Ways that were wanted before and are not any more have been ended.
    has_ended: bool,
    ways: Vec<Way>,
    feed_begun: Option<Begun>,
    feed: Option<FeedState>,
}

impl Reporter {
    /// Runs until `shutdown` becomes true; to its first turn where nothing is wanted.
    pub(super) async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let mut memory = self.memory();
        let is_wanted = self.wanted.feed || !memory.ways.is_empty();
        let reporter = Arc::new(self);
        while !*shutdown.borrow() {
            let worker = reporter.clone();
            let turn = tokio::task::spawn_blocking(move || {
                worker.turn(&mut memory, Timestamp::now());
                memory
            });
            memory = match turn.await {
                Ok(memory) => memory,
                Err(error) => {
                    tracing::error!(%error, "the report broke off");
                    return;
                }
            };
            if !is_wanted {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = shutdown.changed() => {}
            }
        }
    }

    fn memory(&self) -> Memory {
        Memory { has_ended: false, ways: self.ways(), feed_begun: None, feed: None }
    }

    /// The ways that are wanted.
    fn ways(&self) -> Vec<Way> {
        let way = |name, news, cycle| Way {
            name,
            news,
            cycle,
            begun: None,
            planned: None,
            lies_until: Timestamp(0),
            failed_count: 0,
            not_before: Timestamp(0),
        };
        let mut ways = Vec::new();
        if let Some(mail) = &self.mail {
            let together =
                News { gather_ms: i64::from(mail.gather_s) * 1000, at_once_max: NEWS_MAX };
            match self.wanted.mail.unwrap_or(Often::Monthly) {
                Often::Never => {}
                Often::Each => ways.push(way("mail", Some(together), None)),
                often => ways.push(way("mail", None, cycle_of(often))),
            }
        }
        if self.wanted.webhook.is_some() {
            let one_by_one = News { gather_ms: 0, at_once_max: 1 };
            ways.push(way("webhook", Some(one_by_one), Some(self.span_cycle())));
        }
        ways
    }

    /// Spans that programs and feeds are told of: those of the mails, else months.
    fn span_cycle(&self) -> Cycle {
        self.wanted.mail.and_then(cycle_of).unwrap_or(Cycle::Monthly)
    }

    fn turn(&self, memory: &mut Memory, now: Timestamp) {
        if !memory.has_ended {
            match self.end_unwanted(memory, now) {
                Ok(()) => memory.has_ended = true,
                Err(error) => tracing::error!(%error, "the end of reports could not be kept"),
            }
        }
        for way in &mut memory.ways {
            self.turn_of(way, now);
        }
        if self.wanted.feed
            && let Err(why) = self.write_feed(memory, now)
        {
            self.warn(format!("the feed could not be written: {why}"));
        }
    }

    /// What is not wanted any more is not told, and its feed does not lie around.
    fn end_unwanted(&self, memory: &Memory, now: Timestamp) -> Result<(), StoreError> {
        for name in ["mail", "webhook"] {
            if !memory.ways.iter().any(|way| way.name == name) {
                self.state.end_telling(name, now)?;
            }
        }
        if !self.wanted.feed {
            self.state.end_telling("feed", now)?;
            // Usually there is none.
            drop(std::fs::remove_file(self.home.feed_path()));
        }
        Ok(())
    }

    fn turn_of(&self, way: &mut Way, now: Timestamp) {
        if now < way.not_before {
            return;
        }
        let told = self.plan(way, now).and_then(|()| self.send_waiting(way.name, now));
        match told {
            Ok(()) => way.failed_count = 0,
            Err(why) => {
                let wait_s = WAITS_S.get(way.failed_count).or(WAITS_S.last()).copied();
                let wait_s = wait_s.unwrap_or(60);
                way.failed_count += 1;
                way.not_before = now.plus_millis(wait_s * 1000);
                let name = way.name;
                self.warn(format!("no report by {name}: {why}; next try in {wait_s} s"));
            }
        }
    }

    fn warn(&self, text: String) {
        (self.tell)(AgentEvent::Warning { text });
    }

    /// Keeps what is to be told by now.
    fn plan(&self, way: &mut Way, now: Timestamp) -> Result<(), String> {
        let begun = match way.begun {
            Some(begun) => begun,
            None => {
                let rhythm = format!("{:?} {}", way.cycle, way.news.is_some());
                self.state.begin_telling(way.name, &rhythm, now).map_err(words)?
            }
        };
        way.begun = Some(begun);
        if let Some(cycle) = way.cycle {
            let spans = ended_spans(cycle, begun.since, now, &self.zone);
            let last = spans.last().map(|period| period.name());
            if last != way.planned {
                for period in spans {
                    let scope = Scope::of(period, &self.zone);
                    let about = About::Span {
                        title: scope.title,
                        from: scope.span.from,
                        to: scope.span.to,
                    };
                    let kept = self.state.put_telling(way.name, &period.name(), &about, now);
                    kept.map_err(words)?;
                }
                way.planned = last;
            }
        }
        if way.news.is_some() {
            let until = now.plus_millis(-LIES_GATHER_MS);
            let lies = self.state.lies(begun.since.max(way.lies_until), until).map_err(words)?;
            let moments: BTreeSet<Timestamp> = lies.iter().map(|lie| lie.at).collect();
            for from in moments {
                let about = About::Lies { from, to: from.plus_millis(1) };
                let kept = self.state.put_telling(way.name, &lies_name(from), &about, now);
                kept.map_err(words)?;
            }
            way.lies_until = until.max(way.lies_until);
        }
        if let Some(news) = way.news {
            let mut after = self.state.told_up_to(way.name).map_err(words)?;
            let waiting = self.state.news_after(after, NEWS_MAX).map_err(words)?;
            let at_once = usize::try_from(news.at_once_max).unwrap_or(1).max(1);
            for together in waiting.chunks(at_once) {
                let (Some((_, oldest)), Some((up_to, _))) = (together.first(), together.last())
                else {
                    break;
                };
                if now.0 - oldest.0 < news.gather_ms {
                    break;
                }
                let about = About::News { after, up_to: *up_to };
                let kept = self.state.put_telling(way.name, &format!("news-{up_to}"), &about, now);
                kept.map_err(words)?;
                after = *up_to;
            }
        }
        Ok(())
    }

    /// Sends what waits, oldest first, until something does not get through.
    fn send_waiting(&self, way: &str, now: Timestamp) -> Result<(), String> {
        while let Some(telling) = self.state.next_telling(way).map_err(words)? {
            let sent = match way {
                "mail" => self.send_mail(&telling),
                _ => self.send_event(&telling, now),
            };
            let is_over = way != "mail" && telling.attempts_count + 1 >= ATTEMPTS_MAX;
            let tried = match &sent {
                Ok(()) => Tried::Sent,
                Err(why) if is_over => {
                    self.warn(format!("`{}` is not told any more: {why}", telling.name));
                    Tried::GivenUp
                }
                Err(_) => Tried::Failed,
            };
            self.state.settle_telling(&telling, tried, now).map_err(words)?;
            if tried == Tried::Failed {
                return sent;
            }
        }
        Ok(())
    }

    /// The report that a telling is about; the same at every try, but that orders of a span may have
    /// gone on meanwhile.
    fn report(&self, telling: &Telling) -> Result<Report, String> {
        let author = self.author(telling.made_at);
        match &telling.about {
            About::Span { title, from, to } => author.of_span(&Scope {
                title: title.clone(),
                span: Span { from: *from, to: *to },
                until: to.plus_millis(-1),
            }),
            About::Lies { from, to } => author.of_lies(Span { from: *from, to: *to }),
            About::News { after, up_to } => author.of_news(*after, *up_to),
        }
        .map_err(words)
    }

    fn author(&self, now: Timestamp) -> Author<'_> {
        let Self { home, state, owner, zone, .. } = self;
        Author { home, state, owner, zone, now }
    }

    /// Writes the feed anew when something came to it.
    fn write_feed(&self, memory: &mut Memory, now: Timestamp) -> Result<(), String> {
        let cycle = self.span_cycle();
        let begun = match memory.feed_begun {
            Some(begun) => begun,
            None => self.state.begin_telling("feed", &format!("{cycle:?}"), now).map_err(words)?,
        };
        memory.feed_begun = Some(begun);
        let spans = ended_spans(cycle, begun.since, now, &self.zone);
        let newest = self.state.newest_news().map_err(words)?;
        let last_span = spans.last().map(|period| period.name()).unwrap_or_default();
        let lies = self.state.lies(begun.since, Timestamp(i64::MAX)).map_err(words)?;
        let is_now = FeedState { newest, last_span, lies_count: lies.len() };
        if memory.feed.as_ref() == Some(&is_now) {
            return Ok(());
        }
        let agent_id = self.key.public().thumbprint();
        let after = begun.after_seq.max(newest - i64::from(NEWS_MAX));
        let author = self.author(now);
        let rows = self.state.report_rows_of_news(after, newest).map_err(words)?;
        let news = author.of_news(after, newest).map_err(words)?;
        let mut items = Vec::new();
        for (row, access) in rows.accesses.iter().zip(&news.accesses) {
            let notice = AccessNotice::of(access);
            items.push(Item {
                id: format!("urn:signet:{agent_id}:access:{}", notice.grant_id),
                at: row.at,
                title: format!("{} fetched the {}", notice.provider, notice.member),
                text: format!("{} ({}).", notice.words(), access.what),
            });
        }
        for lie in lies.iter().rev().take(SPANS_MAX) {
            let name = derived("hub lie", &[&lie.log, &lie.kind, &lie.subject]);
            items.push(Item {
                id: format!("urn:signet:{agent_id}:hub-lie:{name}"),
                at: lie.at,
                title: "The hub said what cannot be true".to_owned(),
                text: Lied::of(lie, &self.zone).words(),
            });
        }
        for period in spans {
            let (scope, name) = (Scope::of(period, &self.zone), period.name());
            let report = author.of_span(&scope).map_err(words)?;
            items.push(Item {
                id: format!("urn:signet:{agent_id}:report:{name}"),
                at: scope.span.to,
                title: scope.title,
                text: ReportNotice::of(&report, &name, scope.span).summary,
            });
        }
        let text = atom(&Feed {
            id: format!("urn:signet:{agent_id}"),
            owner: self.owner.clone(),
            url: self.feed_url.clone(),
            since: begun.since,
            items,
        });
        let path = self.home.feed_path();
        let folder = path.parent().unwrap_or(self.home.root());
        make_private_dir(folder).map_err(|error| error.to_string())?;
        write_atomic(&path, text.as_bytes(), Readers::OwnerOnly)
            .map_err(|error| error.to_string())?;
        memory.feed = Some(is_now);
        Ok(())
    }
}

fn words(error: impl std::error::Error) -> String {
    crate::base::causes::one_line(&error)
}

/// What names the telling of what a hub was caught at in one moment.
fn lies_name(at: Timestamp) -> String {
    format!("hub-lies-{}", at.0)
}

fn cycle_of(often: Often) -> Option<Cycle> {
    match often {
        Often::Daily => Some(Cycle::Daily),
        Often::Weekly => Some(Cycle::Weekly),
        Often::Monthly => Some(Cycle::Monthly),
        Often::Each | Often::Never => None,
    }
}

/// Spans that ended since a moment and are settled, oldest first; the newest [`SPANS_MAX`].
fn ended_spans(cycle: Cycle, since: Timestamp, now: Timestamp, zone: &Zone) -> Vec<Period> {
    let settled = now.plus_millis(-SETTLE_MS);
    let mut spans = Vec::new();
    let mut period = Period::holding(cycle, settled, zone).previous();
    while spans.len() < SPANS_MAX && period.span(zone).to > since {
        spans.push(period);
        period = period.previous();
    }
    spans.reverse();
    spans
}

#[cfg(test)]
#[path = "reporter/tests.rs"]
mod tests;
