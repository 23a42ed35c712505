//! What a hub counts, for Prometheus: how many, how fast, never who.
//!
//! Labels have a few fixed values each; names and ids of agents, providers, grants and addresses
//! are in none of them, so that whoever reads metrics learns nothing of anybody.
//!
//! Everything is held in memory and begins at zero with each start, as Prometheus expects.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Media type of [`Metrics::text`].
pub const TEXT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Makes an enum whose variants are the values of a label.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $field:ident, $set:ident,
     { $($(#[$variant_doc:meta])* $variant:ident => $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            const ALL: &[Self] = &[$(Self::$variant,)+];
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                match self { $(Self::$variant => $word,)+ }.encode(encoder)
            }
        }

        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $set { $field: $name }
    };
}

label! {
    /// How a transfer ended.
    TransferOutcome, outcome, TransferLabel, {
        /// All bytes of the answer were handed on.
        Complete => "complete",
        /// The provider went away.
        ProviderGone => "provider_gone",
        /// The agent went away.
        AgentGone => "agent_gone",
        /// Taken back meanwhile.
        Cut => "cut",
    }
}

label! {
    /// Why a request got nothing.
    RefusalReason, reason, RefusalLabel, {
        /// Not known here, or not theirs.
        NotFound => "not_found",
        /// No right secret, key or session.
        Unauthorised => "unauthorised",
        /// The provider's account does not cover it.
        NoCredit => "no_credit",
        /// Paused or closed.
        Paused => "paused",
        /// Too many requests.
        TooMany => "too_many",
        /// The agent is away.
        Away => "away",
        /// Not as it should be.
        Malformed => "malformed",
        /// Everything else.
        Other => "other",
    }
}

label! {
    /// What became of a try to send a notice.
    NoticeOutcome, outcome, NoticeLabel, {
        /// It was taken.
        Sent => "sent",
        /// It is tried again.
        Again => "again",
        /// It was tried for days.
        GivenUp => "given_up",
        /// The address is gone.
        Gone => "gone",
        /// There is no address; it can be looked up.
        Kept => "kept",
    }
}

label! {
    /// What is done with the store.
    StoreWork, operation, StoreLabel, {
        /// A page or a row is read.
        Read => "read",
        /// Something is kept.
        Write => "write",
        /// Leaves are appended and accesses posted.
        Append => "append",
        /// A fee is set aside.
        Reserve => "reserve",
    }
}

/// All counters, gauges and histograms of a hub.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    agents: Gauge,
    transfers_open: Gauge,
    transfers: Family<TransferLabel, Counter>,
    bytes: Counter,
    first_byte: Histogram,
    refusals: Family<RefusalLabel, Counter>,
    accesses: Counter,
    notices: Family<NoticeLabel, Counter>,
    paused: Counter,
    store: Family<StoreLabel, Histogram, fn() -> Histogram>,
    /// Nothing is shown of a certificate where something in front of the hub has it.
    certificate_left: Family<[(&'static str, &'static str); 1], Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("signet_hub");
        let agents = Gauge::default();
        registry.register("agents_connected", "Agents that are connected", agents.clone());
        let transfers_open = Gauge::default();
        registry.register("transfers_open", "Transfers under way", transfers_open.clone());
        let transfers = Family::default();
        registry.register("transfers", "Transfers that ended, by how", transfers.clone());
        let bytes = Counter::<u64, AtomicU64>::default();
        let help = "Bytes of answers that were handed on to providers";
        registry.register_with_unit("relayed", help, Unit::Bytes, bytes.clone());
        let first_byte = Histogram::new(FIRST_BYTE_S);
        let help = "From a provider's request to the first byte of the agent's answer";
        registry.register_with_unit("first_byte", help, Unit::Seconds, first_byte.clone());
        let refusals = Family::default();
        registry.register("refusals", "Requests that got nothing, by why", refusals.clone());
        let accesses = Counter::default();
        registry.register("accesses", "Accesses that were posted", accesses.clone());
        let notices = Family::default();
        registry.register("notices", "Tries to tell providers something", notices.clone());
        let paused = Counter::default();
        registry.register("providers_paused", "Times that the brake paused one", paused.clone());
        let times: fn() -> Histogram = || Histogram::new(STORE_S);
        let store = Family::new_with_constructor(times);
        let help = "What operations of the store took, by what they do";
        registry.register_with_unit("store", help, Unit::Seconds, store.clone());
        let certificate_left = Family::default();
        let help = "Until the certificate ends; below zero when it has ended";
        registry.register_with_unit(
            "certificate_left",
            help,
            Unit::Seconds,
            certificate_left.clone(),
        );
        let metrics = Self {
            registry,
            agents,
            transfers_open,
            transfers,
            bytes,
            first_byte,
            refusals,
            accesses,
            notices,
            paused,
            store,
            certificate_left,
        };
        metrics.begin_at_zero();
        metrics
    }
}

/// From a millisecond to the 15 seconds after which a request is given up.
const FIRST_BYTE_S: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

const STORE_S: [f64; 10] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

impl Metrics {
    /// All series exist from the start, so that the first event is seen as one more.
    fn begin_at_zero(&self) {
        for outcome in TransferOutcome::ALL {
            drop(self.transfers.get_or_create(&TransferLabel { outcome: *outcome }));
        }
        for reason in RefusalReason::ALL {
            drop(self.refusals.get_or_create(&RefusalLabel { reason: *reason }));
        }
        for outcome in NoticeOutcome::ALL {
            drop(self.notices.get_or_create(&NoticeLabel { outcome: *outcome }));
        }
        for operation in StoreWork::ALL {
            drop(self.store.get_or_create(&StoreLabel { operation: *operation }));
        }
    }

    /// So many agents are connected.
    pub fn agents(&self, count: usize) {
        self.agents.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A transfer began.
    pub fn transfer_began(&self) {
        self.transfers_open.inc();
    }

    /// Its first byte came.
    pub fn first_byte(&self, after: Duration) {
        self.first_byte.observe(after.as_secs_f64());
    }

    /// Bytes of it were handed on.
    pub fn bytes(&self, bytes_count: u64) {
        self.bytes.inc_by(bytes_count);
    }

    /// It ended.
    pub fn transfer_ended(&self, outcome: TransferOutcome) {
        self.transfers_open.dec();
        self.transfers.get_or_create(&TransferLabel { outcome }).inc();
    }

    /// A request got nothing.
    pub fn refusal(&self, reason: RefusalReason) {
        self.refusals.get_or_create(&RefusalLabel { reason }).inc();
    }

    /// So many accesses were posted since the last time.
    pub fn accesses(&self, new_count: u32) {
        self.accesses.inc_by(new_count.into());
    }

    /// A notice was tried.
    pub fn notice(&self, outcome: NoticeOutcome) {
        self.notices.get_or_create(&NoticeLabel { outcome }).inc();
    }

    /// The brake paused a provider.
    pub fn pulled(&self) {
        self.paused.inc();
    }

    /// The certificate holds for so many seconds more.
    ///
    /// - `is_own`: whether the hub made it itself
    pub fn certificate_left(&self, is_own: bool, left_s: i64) {
        let made_by = if is_own { "hub" } else { "others" };
        self.certificate_left.get_or_create(&[("made_by", made_by)]).set(left_s);
    }

    /// Something was done with the store.
    pub fn store(&self, operation: StoreWork, took: Duration) {
        self.store.get_or_create(&StoreLabel { operation }).observe(took.as_secs_f64());
    }

    /// Does something with the store and notes how long it took.
    pub fn timed<T>(&self, operation: StoreWork, work: impl FnOnce() -> T) -> T {
        let began = std::time::Instant::now();
        let done = work();
        self.store(operation, began.elapsed());
        done
    }

    /// Everything as Prometheus reads it: OpenMetrics text, see [`TEXT_TYPE`].
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a text does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_from_the_start_and_counts() {
        let metrics = Metrics::default();
        let text = metrics.text();
        for line in [
            "signet_hub_agents_connected 0",
            "signet_hub_transfers_total{outcome=\"complete\"} 0",
            "signet_hub_refusals_total{reason=\"no_credit\"} 0",
            "signet_hub_accesses_total 0",
            "signet_hub_notices_total{outcome=\"sent\"} 0",
            "signet_hub_relayed_bytes_total 0",
            "signet_hub_first_byte_seconds_count 0",
            "signet_hub_store_seconds_count{operation=\"append\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
        }
        metrics.agents(3);
        metrics.transfer_began();
        metrics.first_byte(Duration::from_millis(4));
        metrics.bytes(1000);
        metrics.transfer_ended(TransferOutcome::Complete);
        metrics.timed(StoreWork::Append, || ());
        let text = metrics.text();
        for line in [
            "signet_hub_agents_connected 3",
            "signet_hub_transfers_open 0",
            "signet_hub_transfers_total{outcome=\"complete\"} 1",
            "signet_hub_relayed_bytes_total 1000",
            "signet_hub_first_byte_seconds_bucket{le=\"0.005\"} 1",
            "signet_hub_store_seconds_count{operation=\"append\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
        }
    }
}
