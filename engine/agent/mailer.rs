//! Mail to the owner about orders that ask or are held, with a link to each.
//!
//! In:  the store. Out: one mail for all orders that came within `gather_s`.
//!
//! What was told is written into the orders' history, so a restart neither forgets nor repeats. A
//! mail that did not get through is tried again, later and later; meanwhile the orders wait as they
//! would without it. Runs only where `signet.toml` has a `[mail]`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::books::OutwardBook;
use super::desk::state_words;
use super::{AgentEvent, Tell};
use crate::access::{LinkKey, decision};
use crate::base::clock::Timestamp;
use crate::base::config::Mail;
use crate::base::home::Home;
use crate::base::ids::derived;
use crate::base::money::decimal;
use crate::orders::mail::{Letter, on_one_line, post};
use crate::store::orders::words;
use crate::store::{Order, State};

/// How often the store is asked: an order may wait a moment for its mail.
const POLL: Duration = Duration::from_secs(2);

/// Orders in one mail; more go into the next.
const ORDERS_MAX: usize = 50;

/// Waiting times after tries that failed, in seconds; the last repeats.
pub(super) const WAITS_S: [i64; 5] = [10, 60, 300, 1800, 7200];

/// Writes to the owner.
pub(super) struct Mailer {
    pub(super) home: Home,
    pub(super) mail: Mail,
    pub(super) public_url: String,
    pub(super) links: LinkKey,
    pub(super) state: Arc<State>,
    pub(super) outward: Arc<OutwardBook>,
    pub(super) tell: Tell,
}

impl Mailer {
    /// Runs until `shutdown` becomes true.
    pub(super) async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let mailer = Arc::new(self);
        let mut failed_count = 0;
        let mut not_before = Timestamp(0);
        while !*shutdown.borrow() {
            let now = Timestamp::now();
            if now >= not_before {
                let worker = mailer.clone();
                let told = tokio::task::spawn_blocking(move || worker.write(now)).await;
                let told = told.unwrap_or_else(|error| Err(error.to_string()));
                match told {
                    Ok(()) => failed_count = 0,
                    Err(why) => {
                        let wait_s = WAITS_S[failed_count.min(WAITS_S.len() - 1)];
                        failed_count += 1;
                        not_before = now.plus_millis(wait_s * 1000);
                        let text = format!("no mail to the owner: {why}; next try in {wait_s} s");
                        (mailer.tell)(AgentEvent::Warning { text });
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = shutdown.changed() => {}
            }
        }
    }

    /// Writes one mail, if there is something to tell and it has waited for others.
    fn write(&self, now: Timestamp) -> Result<(), String> {
        let mut orders = self.state.untold_orders().map_err(|error| error.to_string())?;
        let gather_ms = i64::from(self.mail.gather_s) * 1000;
        let oldest = orders.first().map(|order| order.updated_at);
        if oldest.is_none_or(|oldest| now.0 - oldest.0 < gather_ms) {
            return Ok(());
        }
        orders.truncate(ORDERS_MAX);
        let keys: Vec<&str> = orders.iter().map(|order| order.order_key.as_str()).collect();
        let as_of = now.to_string();
        let letter = Letter {
            key: &derived("mail", &[keys.as_slice(), &[as_of.as_str()]].concat()),
            from: &self.mail.from,
            reply_to: None,
            to: std::slice::from_ref(&self.mail.to),
            subject: match orders.as_slice() {
                [order] => format!("{} from {}: your word is asked", words(order), order.provider),
                orders => format!("{} orders: your word is asked", orders.len()),
            },
            text: self.text(&orders, now),
            at: now,
            page: None,
            enclosures: Vec::new(),
        };
        let password = password(&self.home, &self.mail)?;
        let posted = post(letter, &self.mail.server, &password, &self.outward.current());
        posted.map_err(|setback| setback.why)?;
        self.state.note_told(&keys, now).map_err(|error| error.to_string())
    }

    fn text(&self, orders: &[Order], now: Timestamp) -> String {
        let mut text = String::new();
        for order in orders {
            let (what, provider) = (words(order), &order.provider);
            let price = match order.price_minor {
                0 => String::new(),
                minor => format!(", {} {}", decimal(minor), order.currency),
            };
            let photo = order.relative.rsplit('/').next().unwrap_or_default();
            let (photo, reason) = (on_one_line(photo), on_one_line(&order.reason));
            let state = state_words(order);
            let link = decision::link(&self.links, &self.public_url, &order.order_key, now);
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{what} from {provider}{price}");
            let _ = writeln!(text, "  photo    {photo}\n  state    {state}\n  because  {reason}");
            let _ = writeln!(text, "{link}\n");
        }
        text + "Each link shows one order; opening it changes nothing. It works for a week and \
                without a login, so keep this mail to yourself.\n"
    }
}

/// The password for the server of the owner's mail; empty where it wants none.
pub(super) fn password(home: &Home, mail: &Mail) -> Result<String, String> {
    if mail.server.user.is_none() {
        return Ok(String::new());
    }
    let path = home.mail_password_path();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        format!("`{}` cannot be read: {error}: write the password there", path.display())
    })?;
    Ok(text.trim().to_owned())
}
