//! `signet lab`, and any HTTP receiver of signed events: one CloudEvent for each order.
//!
//! In:  a parcel of one order. Out: a POST of [`ORDER_EVENT`] with the headers of Standard
//! Webhooks, signed with each shared secret (`v1`) and with the agent's key (`v1a`).
//!
//! The id of the event is derived from the order, so an order that is sent again is the same
//! event: whoever keeps ids has it once, and nobody has to be asked before it is sent again.
//!
//! Success is 2xx with nothing, or with JSON. Anything else with a 2xx, such as the page of a
//! proxy, was not said by a receiver of orders, and the order is sent again.

use serde::{Deserialize, Serialize};

use super::{Cancelled, Carries, Fate, Files, Means, Progress, Search, Setback, Taken, Target};
use crate::base::clock::Timestamp;
use crate::orders::outward::{Body, Call, Reply};
use crate::orders::parcel::{Line, Parcel};
use crate::orders::webhook::{
    CancelMessage, CloudEvent, OrderMessage, WebhookError, cancel_event, order_event, sign,
};
use crate::store::OrderState;

/// What an owner has to know of such a receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Whether it tells when it makes an order and ships it; otherwise an order is done when
    /// everything was fetched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells: bool,
}

impl Spec {
    /// What such a receiver can carry.
    pub const fn carries(self) -> Carries {
        Carries {
            batches: false,
            bytes: false,
            crop: true,
            companions: true,
            address: true,
            contact: true,
            progress: self.tells,
            cancels: true,
        }
    }
}

/// A receiver of signed events.
pub struct Lab {
    spec: Spec,
    means: Means,
}

impl Lab {
    /// The receiver at `means.orders_url`.
    pub fn new(spec: Spec, means: Means) -> Self {
        Self { spec, means }
    }

    fn message(parcel: &Parcel, line: &Line) -> OrderMessage {
        OrderMessage {
            order_key: line.order_key.clone(),
            owner: parcel.sender.name.clone(),
            owner_key: parcel.sender.key.clone(),
            purpose: line.purpose,
            product: line.product.as_ref().map(|(name, _)| name.clone()),
            copies: line.copies,
            addressee: parcel.addressee.clone(),
            recipient: parcel.recipient.clone(),
            express: parcel.express,
            price_minor: line.price_minor,
            currency: parcel.currency.clone(),
            batch: line.batch.clone(),
            crop: line.crop,
            members: line.members.clone(),
            manifest: line.manifest.clone(),
            receipt_url: line.receipt_url.clone(),
            status_url: line.status_url.clone(),
        }
    }

    fn post<D: Serialize>(&self, event: &CloudEvent<D>) -> Result<Reply, Setback> {
        let secrets: Vec<&str> = self.means.secret.split_whitespace().collect();
        let message = sign(event, &secrets, &*self.means.sign, Timestamp::now());
        let message = message.map_err(|error| match error {
            WebhookError::TooLong { .. } => Setback::refused(error.to_string()),
            _ => Setback::not_taken(error.to_string()),
        })?;
        let headers = message.headers();
        let (url, body) = (self.means.orders_url.as_str(), Body::Bytes(message.body.as_bytes()));
        self.means.outward.call(Call { method: "POST", url, headers, body })
    }
}

impl Target for Lab {
    fn carries(&self) -> Carries {
        self.spec.carries()
    }

    fn send(&self, parcel: &Parcel, _files: &dyn Files) -> Result<Taken, Setback> {
        let [line] = parcel.lines.as_slice() else {
            return Err(Setback::refused("such a receiver takes one order at a time"));
        };
        let event = order_event(Self::message(parcel, line), &parcel.sender, parcel.created_at);
        let reply = self.post(&event)?;
        let words = words(&reply);
        let trouble = |fate| {
            let why = format!("the provider answered {}: {words}", reply.status);
            Setback { why, fate, wait_s: None }.after(reply.retry_after_s)
        };
        match reply.status {
            200..=299 if is_answer(&reply) => Ok(Taken {
                remote: line.order_key.clone(),
                progress: Progress {
                    state: OrderState::Accepted,
                    note: "the provider has it".into(),
                    look_again_s: None,
                },
            }),
            410 => Err(Setback::refused("the provider takes no more orders at its address")),
            422 => Err(Setback::refused(format!("the provider cannot fulfil it: {words}"))),
            200..=299 | 409 | 500..=599 => Err(trouble(Fate::Unknown)),
            429 => Err(trouble(Fate::Away)),
            _ => Err(trouble(Fate::NotTaken)),
        }
    }

    fn find(&self, _parcel: &Parcel) -> Result<Search, Setback> {
        Ok(Search::TakesAgain)
    }

    /// Nothing: fetches and receipts come by themselves, and so do words of a lab that says more.
    fn follow(&self, _parcel_key: &str, _remote: &str) -> Result<Progress, Setback> {
        Ok(Progress {
            state: OrderState::Accepted,
            note: "the provider has it".into(),
            look_again_s: None,
        })
    }

    fn cancel(&self, _parcel_key: &str, remote: &str) -> Result<Cancelled, Setback> {
        let order = CancelMessage { order_key: remote.to_owned() };
        let reply = self.post(&cancel_event(order, &self.means.agent_id, Timestamp::now()))?;
        let words = words(&reply);
        match reply.status {
            200..=299 if is_answer(&reply) => Ok(Cancelled::Stopped(words)),
            409 => Ok(Cancelled::TooLate(words)),
            404 | 405 | 410 | 415 | 422 | 501 => Ok(Cancelled::CannotBeAsked),
            status => Err(Setback::unknown(format!("the provider answered {status}: {words}"))
                .after(reply.retry_after_s)),
        }
    }
}

/// What a receiver says: the detail of its answer, as `signet lab` gives one, or how it begins.
fn words(reply: &Reply) -> String {
    let answer = serde_json::from_slice::<serde_json::Value>(&reply.body).ok();
    let detail = answer.and_then(|answer| answer.get("detail")?.as_str().map(str::to_owned));
    let plain = |text: String| text.chars().filter(|c| !c.is_control()).take(200).collect();
    detail.map_or_else(|| reply.words(), plain)
}

/// Whether an answer can be one of a receiver of orders: nothing, or JSON, and all of it.
fn is_answer(reply: &Reply) -> bool {
    let is_empty = reply.body.iter().all(u8::is_ascii_whitespace);
    reply.is_whole && (is_empty || serde_json::from_slice::<serde_json::Value>(&reply.body).is_ok())
}
