//! What providers are told without asking: signed messages to the address that they gave.
//!
//! ```text
//! signet.original.available  {agent, grants}              a computer that was away is back
//! signet.offer.withdrawn     {agent, grants}              its owner took these back
//! signet.provider.paused     {why}                        you cannot fetch just now
//! signet.provider.resumed    {why}                        you can again
//! signet.credit.low          {credit_minor, currency, …}  less than a tenth of the last top-up is left
//! signet.webhook.test        {}                           you asked for it
//! ```
//!
//! CloudEvents, signed as Standard Webhooks say with the provider's secret (`v1`) and the hub's key
//! (`v1a`). The id stays the same over all tries ([`SCHEDULE_S`]). 2xx is an answer; 410 means that
//! the address is gone, and it is forgotten; everything else is tried again. Whoever gave no address
//! reads the same in `GET /v1/provider/notices`.
//!
//! Addresses are the providers' and not to be trusted: every call goes through `orders::outward`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::base::clock::Timestamp;
use crate::base::ids::derived;
use crate::base::money::decimal;
use crate::orders::outward::{Body, Call, Outward};
use crate::orders::target::Setback;
use crate::orders::webhook::{CLOUD_EVENT, CloudEvent, SignedMessage, sign};
use crate::store::StoreError;
use crate::store::hub::{
    HubStore, NoticeRow, Posting, ProviderChange, ProviderRow, ProviderState, provider_account,
};

use super::metrics::{Metrics, NoticeOutcome};
use super::providers::credit_minor;

/// Seconds to wait before each try after the first; about three days in all.
pub const SCHEDULE_S: [i64; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// Providers that are called at the same time.
const PROVIDERS_AT_ONCE: usize = 8;

/// Notices that are looked at in one go.
const DUE_MAX: u32 = 200;

/// How often it is looked whether something is due.
const LOOK_MS: u64 = 1000;

/// A provider may fetch again, or not any more.
pub fn of_state(provider: &str, state: ProviderState, why: &str, now: Timestamp) -> NoticeRow {
    let kind = match state {
        ProviderState::Active => "signet.provider.resumed",
        ProviderState::Paused | ProviderState::Closed => "signet.provider.paused",
    };
    notice(kind, provider, &now.to_string(), &json!({ "why": why, "state": state }), now)
}

/// A provider wants to see whether its address works.
pub fn test(provider: &str, now: Timestamp) -> NoticeRow {
    notice("signet.webhook.test", provider, &now.to_string(), &json!({}), now)
}

/// Little is left of what a provider paid in: once for each top-up.
///
/// - `credit_minor`: what is left
pub fn credit_low(
    provider: &str,
    top_up: &Posting,
    credit_minor: i64,
    now: Timestamp,
) -> NoticeRow {
    let data = json!({
        "credit_minor": credit_minor,
        "currency": top_up.currency,
        "why": format!("{} {} are left", decimal(credit_minor), top_up.currency),
    });
    notice("signet.credit.low", provider, &top_up.posting_id, &data, now)
}

/// - `about`: what it is about, besides its kind and provider; decides about its id
fn notice(kind: &str, provider: &str, about: &str, data: &Value, now: Timestamp) -> NoticeRow {
    NoticeRow {
        notice_id: derived("notice", &[kind, provider, about]),
        provider: provider.into(),
        kind: kind.into(),
        data: data.to_string(),
        attempts_count: 0,
        made_at: now,
        due_at: now,
        settled_at: None,
    }
}

/// A Standard Webhooks secret: 32 random bytes.
///
/// # Errors
/// When the system gives no random numbers.
pub fn new_secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)))
}

/// Tells a provider when less than a tenth of its last top-up is left; once for each top-up.
///
/// # Errors
/// As the store.
pub fn warn_of_low_credit(
    store: &dyn HubStore,
    provider: &ProviderRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(top_up) = store.last_top_up(&provider.name)? else { return Ok(()) };
    let account = provider_account(&provider.name);
    let paid_in = top_up.entries.iter().find(|entry| entry.account == account);
    let paid_in_minor = paid_in.map_or(0, |entry| entry.minor.saturating_neg());
    let credit_minor = credit_minor(store, provider)?;
    if is_low(credit_minor, paid_in_minor) {
        store.put_notice(&credit_low(&provider.name, &top_up, credit_minor, now))?;
    }
    Ok(())
}

fn is_low(credit_minor: i64, paid_in_minor: i64) -> bool {
    i128::from(credit_minor) * 10 < i128::from(paid_in_minor)
}

/// When a notice is tried again; `None`: no more.
///
/// - `tries_count`: those that failed
/// - `wait_s`: what the provider asked for
/// - `dice`: spreads tries by up to a tenth
fn next_try(tries_count: u32, wait_s: Option<i64>, dice: u8, now: Timestamp) -> Option<Timestamp> {
    let step = usize::try_from(tries_count).ok()?.checked_sub(1)?;
    let schedule_ms = SCHEDULE_S.get(step)? * 1000;
    let spread_ms = schedule_ms / 10 * i64::from(dice) / 255;
    Some(now.plus_millis((schedule_ms + spread_ms).max(wait_s.unwrap_or(0) * 1000)))
}

/// Signs bytes with the hub's key.
pub type Sign = Box<dyn Fn(&[u8]) -> [u8; 64] + Send + Sync>;

/// Sends what is due.
pub struct Messenger {
    /// Where notices and addresses are.
    pub store: Arc<dyn HubStore>,
    /// Signs with the hub's key.
    pub sign: Sign,
    /// How the hub is called: source of the events.
    pub base_url: String,
    /// Calls.
    pub outward: Outward,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl Messenger {
    /// Sends what is due until `shutdown` becomes true.
    pub async fn run(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        loop {
            let messenger = self.clone();
            let sent = tokio::task::spawn_blocking(move || messenger.send_due(Timestamp::now()));
            match sent.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "notices could not be sent"),
                Err(error) => tracing::error!(%error, "sending notices broke off"),
            }
            let stop = shutdown.wait_for(|stop| *stop);
            if tokio::time::timeout(Duration::from_millis(LOOK_MS), stop).await.is_ok() {
                return;
            }
        }
    }

    /// Sends what is due now, to a few providers at a time.
    ///
    /// # Errors
    /// As the store.
    pub fn send_due(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut by_provider: BTreeMap<String, Vec<NoticeRow>> = BTreeMap::new();
        for notice in self.store.due_notices(now, DUE_MAX)? {
            by_provider.entry(notice.provider.clone()).or_default().push(notice);
        }
        let queues: Vec<_> = by_provider.into_values().collect();
        for some in queues.chunks(PROVIDERS_AT_ONCE) {
            std::thread::scope(|scope| {
                let sent: Vec<_> =
                    some.iter().map(|queue| scope.spawn(|| self.send_to_one(queue, now))).collect();
                let ended = sent.into_iter().map(|one| one.join().unwrap_or(Ok(())));
                ended.collect::<Result<(), StoreError>>()
            })?;
        }
        Ok(())
    }

    /// Sends one provider what is due for it. After the first that fails the others are put off as
    /// if they had failed too, so that an address that does not answer costs one call and not one
    /// for each.
    fn send_to_one(&self, queue: &[NoticeRow], now: Timestamp) -> Result<(), StoreError> {
        let mut wait_s = None;
        for notice in queue {
            let settle = |again_at, outcome| {
                self.metrics.notice(outcome);
                self.store.settle_notice(&notice.notice_id, again_at, now)
            };
            let row = self.store.provider(&notice.provider)?;
            let Some(row) = row.filter(|row| !row.notify_url.is_empty()) else {
                settle(None, NoticeOutcome::Kept)?;
                continue;
            };
            let heard = match wait_s {
                Some(wait_s) => Heard::Later { wait_s },
                None => self.send(notice, &row, now),
            };
            match heard {
                Heard::Taken => settle(None, NoticeOutcome::Sent)?,
                Heard::Gone => {
                    tracing::warn!(provider = row.name, "its address for notices is gone");
                    let nowhere =
                        ProviderChange::Notify { url: String::new(), secret: String::new() };
                    self.store.change_provider(&row.name, &nowhere)?;
                    settle(None, NoticeOutcome::Gone)?;
                }
                Heard::Later { wait_s: asked_s } => {
                    wait_s = Some(asked_s);
                    let mut dice = [0];
                    // Without random numbers tries are merely not spread.
                    let _ = getrandom::fill(&mut dice);
                    let tries_count = notice.attempts_count.saturating_add(1);
                    match next_try(tries_count, asked_s, dice[0], now) {
                        Some(again_at) => settle(Some(again_at), NoticeOutcome::Again)?,
                        None => {
                            tracing::warn!(provider = row.name, kind = notice.kind, "given up");
                            settle(None, NoticeOutcome::GivenUp)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn send(&self, notice: &NoticeRow, row: &ProviderRow, now: Timestamp) -> Heard {
        let replied = self.signed(notice, row, now).and_then(|message| {
            self.outward.call(Call {
                method: "POST",
                url: &row.notify_url,
                headers: vec![
                    ("content-type", CLOUD_EVENT.into()),
                    ("webhook-id", message.id),
                    ("webhook-timestamp", message.timestamp.to_string()),
                    ("webhook-signature", message.signature),
                ],
                body: Body::Bytes(message.body.as_bytes()),
            })
        });
        match replied {
            Ok(reply) if (200..300).contains(&reply.status) => Heard::Taken,
            Ok(reply) if reply.status == 410 => Heard::Gone,
            Ok(reply) => {
                tracing::info!(provider = row.name, status = reply.status, "a notice was refused");
                Heard::Later { wait_s: reply.retry_after_s }
            }
            Err(setback) => {
                tracing::info!(provider = row.name, fate = ?setback.fate, "a notice did not arrive");
                Heard::Later { wait_s: setback.wait_s }
            }
        }
    }

    fn signed(
        &self,
        notice: &NoticeRow,
        row: &ProviderRow,
        now: Timestamp,
    ) -> Result<SignedMessage, Setback> {
        let data: Value = serde_json::from_str(&notice.data).unwrap_or(Value::Null);
        let event = CloudEvent {
            specversion: "1.0".into(),
            id: notice.notice_id.clone(),
            source: self.base_url.clone(),
            event_type: notice.kind.clone(),
            subject: row.name.clone(),
            time: notice.made_at.to_string(),
            datacontenttype: "application/json".into(),
            data,
        };
        sign(&event, &[&row.notify_secret], &self.sign, now)
            .map_err(|error| Setback::refused(error.to_string()))
    }
}

/// What a provider's server said.
enum Heard {
    /// It has it.
    Taken,
    /// There is nobody any more.
    Gone,
    /// Not now; seconds that it wants to be left alone.
    Later {
        /// As it said.
        wait_s: Option<i64>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    #[test]
    fn tries_follow_the_schedule_and_end() {
        let wait = |tries, wait_s, dice| {
            next_try(tries, wait_s, dice, NOW).map(|at| (at.0 - NOW.0) / 1000)
        };
        assert_eq!(wait(1, None, 0), Some(5));
        assert_eq!(wait(2, None, 255), Some(330), "a tenth later at most");
        assert_eq!(wait(1, Some(60), 0), Some(60), "as the provider asked");
        assert_eq!(wait(9, None, 0), Some(86_400));
        assert_eq!(wait(10, None, 0), None);
        let all: i64 = SCHEDULE_S.iter().sum();
        assert!((3 * 86_400..4 * 86_400).contains(&all), "{all} s");
    }

    #[test]
    fn credit_is_low_below_a_tenth_of_what_was_paid_in() {
        for (credit, paid_in, low) in [
            (100, 1000, false),
            (99, 1000, true),
            (0, 0, false),
            (-1, 0, true),
            (i64::MAX, 1, false),
        ] {
            assert_eq!(is_low(credit, paid_in), low, "{credit} of {paid_in}");
        }
    }
}
