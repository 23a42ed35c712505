//! 64 callers post at the same time, fail, give up and try again; the books are right at every
//! moment at which anybody looks.
//!
//! `SIGNET_STORE_TRANSFERS=1000000` posts more than usual.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use super::sequences::Dice;
use super::*;
use crate::base::config::environment;

const POSTERS_COUNT: u64 = 64;
/// Each has a log, which its posters all want to write to.
const AGENTS_COUNT: u64 = 16;
/// Postings in every run.
const TRANSFERS_COUNT: u64 = 20_000;

fn agent(poster: u64) -> String {
    format!("agent-{:02}", poster % AGENTS_COUNT)
}

/// One that posts: deliveries of one grant and their reversals in turn, and money paid in.
struct Poster<'a> {
    number: u64,
    store: &'a dyn HubStore,
    /// Begins to post and breaks off, where the store has a way to do so.
    abort: &'a (dyn Fn(&Posting) + Sync),
    dice: Dice,
    /// Next delivery, and whether it is out and to be posted back next.
    turn: u32,
    is_out: bool,
    top_ups_count: u64,
    paid_in_minor: i64,
    fee_minor: i64,
}

impl Poster<'_> {
    fn grant(&self) -> String {
        format!("grant-{}", self.number)
    }

    /// Tells of a delivery or a reversal at the end of the log, wherever the others have moved it.
    fn tell(&self, turn: u32, is_reversal: bool) -> Posted {
        let agent = agent(self.number);
        loop {
            let from = self.store.log_size(&agent, LogKind::Agent).expect("read");
            let texts = [format!("{} {turn} {is_reversal}", self.number).into_bytes()];
            let told = [report(&agent, from, &self.grant(), turn)];
            let append = leaves(&agent, from, &texts);
            let append = if is_reversal {
                Append { reversals: &told, ..append }
            } else {
                Append { accesses: &told, ..append }
            };
            if let Some(mut posted) = self.store.append(&append).expect("appended") {
                return posted.remove(0);
            }
        }
    }

    /// Does one thing; how many postings came of it.
    fn step(&mut self) -> u64 {
        match self.dice.below(10) {
            0..=4 => {
                let posted = self.tell(self.turn, self.is_out);
                assert!(matches!(posted, Posted::New(_)), "{posted:?}");
                self.turn += u32::from(self.is_out);
                self.is_out = !self.is_out;
                1
            }
            5 => {
                // The answer was lost: the same again.
                if let Some(turn) = self.turn.checked_sub(1) {
                    assert_eq!(self.tell(turn, false), Posted::Again);
                    assert_eq!(self.tell(turn, true), Posted::Again);
                }
                0
            }
            6 | 7 => {
                let minor = 1 + i64::try_from(self.dice.below(10_000)).expect("small");
                let id = format!("top-up-{}-{}", self.number, self.top_ups_count);
                let posting = top_up(&id, "lab", minor);
                assert!(self.store.post(&posting).expect("posted"));
                assert!(!self.store.post(&posting).expect("asked"));
                self.top_ups_count += 1;
                self.paid_in_minor += minor;
                1
            }
            8 => {
                let mut posting = top_up(&format!("bad-{}", self.number), "lab", 5);
                posting.entries[0].minor += 1;
                assert!(self.store.post(&posting).is_err());
                0
            }
            _ => {
                let posting = top_up(&format!("aborted-{}", self.number), "lab", 5);
                let _ = catch_unwind(AssertUnwindSafe(|| (self.abort)(&posting)));
                0
            }
        }
    }
}

/// What is on all accounts, by currency.
fn sums(store: &dyn HubStore) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for (_, currency, minor) in store.balances().expect("read") {
        *sums.entry(currency).or_insert(0) += minor;
    }
    sums
}

fn post_from_all_sides(store: &dyn HubStore, abort: &(dyn Fn(&Posting) + Sync)) {
    let target = environment("SIGNET_STORE_TRANSFERS").and_then(|text| text.parse().ok());
    let target = target.unwrap_or(TRANSFERS_COUNT);
    store.put_provider(&ProviderRow { service_percent: 33, ..provider("lab") }).expect("kept");
    for number in 0..AGENTS_COUNT {
        join(store, &agent(number));
    }
    let fee = |number: u64| i64::try_from(number * 7 % 99).expect("small");
    for number in 0..POSTERS_COUNT {
        let grant = format!("grant-{number}");
        let offer = OfferRow { fee_minor: fee(number), ..offer(&agent(number), &grant) };
        assert!(store.put_offer(&offer).expect("kept"));
    }
    let (posted, looks) = (AtomicU64::new(0), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    let began = Instant::now();
    let posters: Vec<Poster<'_>> = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let sums = sums(store);
                assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
                looks.fetch_add(1, Ordering::Relaxed);
            }
        });
        let posters: Vec<_> = (0..POSTERS_COUNT)
            .map(|number| {
                let posted = &posted;
                scope.spawn(move || {
                    let mut poster = Poster {
                        number,
                        store,
                        abort,
                        dice: Dice::new(number),
                        turn: 0,
                        is_out: false,
                        top_ups_count: 0,
                        paid_in_minor: 0,
                        fee_minor: fee(number),
                    };
                    while posted.load(Ordering::Relaxed) < target {
                        let count = poster.step();
                        posted.fetch_add(count, Ordering::Relaxed);
                    }
                    poster
                })
            })
            .collect();
        let posters = posters.into_iter().map(|poster| poster.join().expect("no mistake"));
        let posters = posters.collect();
        is_over.store(true, Ordering::Relaxed);
        posters
    });
    let seconds = began.elapsed().as_secs_f64();
    let (posted, looks) = (posted.into_inner(), looks.into_inner());
    println!("{posted} postings in {seconds:.1} s, looked at {looks} times");
    assert!(posted >= target && looks > 0);

    // Everything again changes nothing.
    let before = store.balances().expect("read");
    for poster in &posters {
        for turn in 0..poster.turn.min(3) {
            assert_eq!(poster.tell(turn, false), Posted::Again);
        }
        for number in 0..poster.top_ups_count.min(3) {
            let id = format!("top-up-{}-{number}", poster.number);
            assert!(store.post(&top_up(&id, "shop", 1)).is_err(), "others have this id");
        }
    }
    assert_eq!(store.balances().expect("read"), before);

    // The books say what the posters did, to the cent.
    let out = |poster: &Poster<'_>| if poster.is_out { poster.fee_minor } else { 0 };
    let paid_in: i64 = posters.iter().map(|poster| poster.paid_in_minor).sum();
    let fees: i64 = posters.iter().map(out).sum();
    let balance = |account: &str| store.balance(account, "EUR").expect("read");
    assert_eq!(balance("cash"), paid_in);
    assert_eq!(balance("provider:lab"), fees - paid_in);
    let to_owners: i64 =
        (0..AGENTS_COUNT).map(|number| balance(&owner_account(&agent(number)))).sum();
    assert_eq!(to_owners + balance("service"), -fees);
    let count: u64 = posters
        .iter()
        .map(|poster| u64::from(poster.turn) * 2 + u64::from(poster.is_out) + poster.top_ups_count)
        .sum();
    assert_eq!(count, posted);
    for (account, currency, minor) in before {
        let lines = store.lines(&account, NOW, later(1)).expect("read");
        let of_currency = lines.iter().filter(|line| line.posting.currency == currency);
        assert_eq!(of_currency.map(|line| line.minor).sum::<i64>(), minor, "{account}");
    }
    assert_eq!(store.audit().expect("looked"), [""; 0]);
}

#[test]
fn sqlite_keeps_its_books_while_64_callers_post_fail_and_try_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let hub = SqliteHub::open(&folder.path().join("hub.sqlite")).expect("opens");
    post_from_all_sides(&hub, &|posting| hub.post_and_break_off(posting));
    for statement in ["UPDATE entries SET minor = 0", "DELETE FROM postings"] {
        assert!(hub.tamper(statement).is_err(), "{statement}");
    }
}

#[test]
fn model_keeps_its_books_while_64_callers_post_fail_and_try_again() {
    post_from_all_sides(&ModelHub::default(), &|_| {});
}
