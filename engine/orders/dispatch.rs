//! Sends what the outbox holds. The only place from which orders leave the computer.
//!
//! A receiver that takes an order and then times out is asked again with the same event
//! id; the provider keeps one order. Only an answer of 2xx counts as taken. 410 (no such
//! address any more) and 422 (cannot be fulfilled) end it; everything else is tried again,
//! each time later, until [`PATIENCE_MS`] is over.
//!
//! Nothing is sent while the kill switch is thrown. An order that is held becomes ready when its
//! time is over, here and nowhere else.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::webhook::{CLOUD_EVENT, SignedMessage};
use crate::base::clock::Timestamp;
use crate::base::ids::derived;
use crate::store::{Due, Order, OrderState, State, StoreError};

/// Orders under way at the same time.
const SENDING_MAX: usize = 8;

/// A provider that has not answered by then has not taken the order.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How often the outbox is looked at when nobody calls: other processes write to it too.
const POLL: Duration = Duration::from_millis(500);

/// Waiting times after each failed try, in seconds, jittered by a fifth; the last repeats.
const WAITS_S: [i64; 10] = [1, 4, 15, 60, 300, 1800, 7200, 18_000, 36_000, 86_400];

/// An order that no try brought through for this long has failed: 14 days, as long as its
/// grants hold by default.
const PATIENCE_MS: i64 = 14 * 86_400_000;

/// Largest part of an answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// What goes out for one order.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where to.
    pub url: String,
    /// The signed body.
    pub message: SignedMessage,
}

/// Why an order cannot go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// Not now: its collection is offline, say.
    Later(String),
    /// The consent no longer covers it, or the photo version is gone.
    Never(String),
}

/// Turns an order into what is sent; makes its grants. Called off the async threads.
pub trait Outlet: Send + Sync + 'static {
    /// Prepares one try. Called again for the next try; the grants must be the same.
    ///
    /// # Errors
    /// A [`Hindrance`]; the order waits or is refused.
    fn prepare(&self, order: &Order, now: Timestamp) -> Result<Outgoing, Hindrance>;
}

/// What became of a try.
#[derive(Debug, Clone)]
pub enum Sent {
    /// The provider has the order.
    Accepted(Order),
    /// It will be tried again at that time.
    Postponed(Order, Timestamp, String),
    /// It is over; the state says how.
    Ended(Order, OrderState, String),
}

/// Runs until `shutdown` becomes true; tries under way are finished first.
///
/// - `wake`: notified when an order was put into the outbox in this process
/// - `tell`: called for what became of each try
pub async fn run(
    state: Arc<State>,
    outlet: Arc<dyn Outlet>,
    wake: Arc<Notify>,
    mut shutdown: watch::Receiver<bool>,
    tell: impl Fn(Sent) + Send + Sync + 'static,
) {
    let tell = Arc::new(tell);
    let client = client();
    let mut sending = JoinSet::new();
    let mut keys: HashSet<String> = HashSet::new();
    while !*shutdown.borrow() {
        match due(&state, &keys) {
            Ok(orders) => {
                for order in orders {
                    keys.insert(order.order.order_key.clone());
                    let (state, outlet) = (state.clone(), outlet.clone());
                    let (client, tell) = (client.clone(), tell.clone());
                    sending.spawn_blocking(move || {
                        let key = order.order.order_key.clone();
                        match attempt(&state, outlet.as_ref(), &client, order) {
                            Ok(Some(sent)) => tell(sent),
                            Ok(None) => {}
                            Err(error) => tracing::error!(%error, "the outbox cannot be kept"),
                        }
                        key
                    });
                }
            }
            Err(error) => tracing::error!(%error, "the outbox cannot be read"),
        }
        tokio::select! {
            Some(done) = sending.join_next(), if !sending.is_empty() => match done {
                Ok(key) => { keys.remove(&key); }
                // A panic in one try: forget who is under way, the outbox knows the rest.
                Err(error) => { tracing::error!(%error, "a try broke off"); keys.clear(); }
            },
            () = wake.notified() => {}
            () = tokio::time::sleep(POLL) => {}
            _ = shutdown.changed() => {}
        }
    }
    while sending.join_next().await.is_some() {}
}

fn due(state: &State, under_way: &HashSet<String>) -> Result<Vec<Due>, StoreError> {
    let places = SENDING_MAX.saturating_sub(under_way.len());
    if places == 0 || state.stopped_since()?.is_some() {
        return Ok(Vec::new());
    }
    let orders_max = u32::try_from(SENDING_MAX * 2).unwrap_or(u32::MAX);
    let mut orders = state.outbox_due(Timestamp::now(), orders_max)?;
    orders.retain(|due| !under_way.contains(&due.order.order_key));
    orders.truncate(places);
    Ok(orders)
}

/// One try for one order, and what the store is told of it.
fn attempt(
    state: &State,
    outlet: &dyn Outlet,
    client: &ureq::Agent,
    due: Due,
) -> Result<Option<Sent>, StoreError> {
    let Due { mut order, attempts_count } = due;
    let ready = [OrderState::Ready];
    if order.state == OrderState::Held {
        let note = "the time to take it back is over";
        let (held, now) = ([OrderState::Held], Timestamp::now());
        if !state.move_order(&order.order_key, &held, OrderState::Ready, note, now)? {
            return Ok(None);
        }
        (order.state, order.updated_at) = (OrderState::Ready, now);
    }
    let end = |to: OrderState, why: String| -> Result<Option<Sent>, StoreError> {
        let moved = state.move_order(&order.order_key, &ready, to, &why, Timestamp::now())?;
        Ok(moved.then(|| Sent::Ended(order.clone(), to, why)))
    };
    let trouble = match outlet.prepare(&order, Timestamp::now()) {
        Err(Hindrance::Never(why)) => return end(OrderState::Refused, why),
        Err(Hindrance::Later(why)) => Trouble { why, wait_s: None },
        // The switch may have been thrown, or the order cancelled, since the row was read.
        Ok(_) if !still_wanted(state, &order)? => return Ok(None),
        Ok(outgoing) => match send(client, &outgoing) {
            Answer::Taken => {
                let note = "the provider has it";
                let now = Timestamp::now();
                state.move_order(&order.order_key, &ready, OrderState::Accepted, note, now)?;
                return Ok(Some(Sent::Accepted(order)));
            }
            Answer::Final(why) => return end(OrderState::Failed, why),
            Answer::Trouble(trouble) => trouble,
        },
    };
    let now = Timestamp::now();
    if now.0 - order.updated_at.0 > PATIENCE_MS {
        return end(OrderState::Failed, format!("given up: {}", trouble.why));
    }
    let next = now.plus_millis(wait_ms(&order.order_key, attempts_count, trouble.wait_s));
    state.outbox_postpone(&order.order_key, next, &trouble.why)?;
    Ok(Some(Sent::Postponed(order, next, trouble.why)))
}

fn still_wanted(state: &State, order: &Order) -> Result<bool, StoreError> {
    Ok(state.stopped_since()?.is_none()
        && state.order(&order.order_key)?.is_some_and(|order| order.state == OrderState::Ready))
}

/// Time until the next try: the schedule with a fifth of jitter, or longer if asked to.
fn wait_ms(order_key: &str, attempts_count: u32, asked_s: Option<i64>) -> i64 {
    let index = usize::try_from(attempts_count).unwrap_or(usize::MAX).min(WAITS_S.len() - 1);
    let wait = WAITS_S[index] * 1000;
    let digits = derived("jitter", &[order_key, &attempts_count.to_string()]);
    let jitter = digits.bytes().take(4).fold(0_i64, |sum, byte| sum + i64::from(byte)) % 41 - 20;
    (wait + wait * jitter / 100).max(asked_s.unwrap_or(0).saturating_mul(1000))
}

struct Trouble {
    why: String,
    wait_s: Option<i64>,
}

enum Answer {
    Taken,
    Final(String),
    Trouble(Trouble),
}

fn client() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(TIMEOUT))
        .user_agent(concat!("signet/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

fn send(client: &ureq::Agent, outgoing: &Outgoing) -> Answer {
    let message = &outgoing.message;
    let answer = client
        .post(&outgoing.url)
        .header("content-type", CLOUD_EVENT)
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", message.timestamp.to_string())
        .header("webhook-signature", &message.signature)
        .send(message.body.as_bytes());
    let trouble = |why: String, wait_s| Answer::Trouble(Trouble { why, wait_s });
    match answer {
        Err(error) => trouble(format!("the provider cannot be reached: {error}"), None),
        Ok(mut answer) => {
            let status = answer.status().as_u16();
            // Read what it says, so that the connection can be used again.
            let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
            let text: String =
                text.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
            match status {
                200..=299 => Answer::Taken,
                410 => Answer::Final("the provider takes no more orders at its address".into()),
                422 => Answer::Final(format!("the provider cannot fulfil it: {text}")),
                _ => {
                    let wait_s = answer
                        .headers()
                        .get("retry-after")
                        .and_then(|value| value.to_str().ok()?.parse::<i64>().ok())
                        .map(|seconds| seconds.clamp(0, 86_400));
                    trouble(format!("the provider answered {status}: {text}"), wait_s)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_near_the_schedule() {
        for (attempt, wait) in WAITS_S.iter().enumerate() {
            let attempt = u32::try_from(attempt).expect("small");
            let got = wait_ms("k", attempt, None);
            assert!((wait * 800..=wait * 1200).contains(&got), "try {attempt}: {got} ms");
        }
        assert_eq!(wait_ms("k", 0, Some(90)), 90_000, "the provider asked for more");
        assert!(wait_ms("k", 4_000_000, None) >= 86_400 * 800);
    }
}
