//! Counts what answering a condition costs, and stops what costs too much.
//!
//! In:  costs, from loops, questions and [`weighed`] values. Out: an error that `eval` knows,
//! once they add up to more than [`STEPS_MAX`].
//!
//! Steps and no clock: a decision that is replayed stops at the same place as the first time.
//! One step is about one part of a condition answered once, or 64 bytes of text gone
//! through, or one element of a list copied: well below 100 ns and 100 bytes each.
//!
//! Loops alone would be no bound: `[title].map(a, a + a).map(a, a + a)…` doubles a text with
//! every few characters, and `title in keywords` reads thousands of texts in one part. So
//! `check.rs` wraps whatever may be long in `@weigh(…)` where it is copied or gone through.
//!
//! Knows no photo.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::ast::{Expr, IdedExpr};
use cel::common::types::{CelBytes, CelList, CelMap, CelString, DYN_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};

/// Most steps that answering one condition for one photo may take.
pub const STEPS_MAX: u64 = 400_000;

/// The name under which conditions find the meter.
pub(super) const METER: &str = "@meter";
/// The function that takes the meter and a value, and gives the value.
pub(super) const WEIGH: &str = "@weigh";
/// Bytes of a text that are gone through in one step.
const STEP_BYTES: usize = 64;
/// What an element of a list costs beside its value; errors copy it twice.
const ITEM_STEPS: u64 = 2;
/// What the call of the function costs.
const WEIGH_STEPS: u64 = 2;

/// Steps taken so far.
#[derive(Debug, Default)]
pub(super) struct Meter(AtomicU64);

impl Meter {
    /// Starts anew, for the next condition.
    pub(super) fn restart(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Adds some steps; whether that is still within the limit.
    pub(super) fn spend(&self, steps: u64) -> bool {
        // One thread at a time answers a condition, so a load and a store lose nothing.
        let spent = self.0.load(Ordering::Relaxed).saturating_add(steps);
        self.0.store(spent, Ordering::Relaxed);
        spent <= STEPS_MAX
    }

    /// Adds what it costs to go through a value, and no more than what is left.
    fn spend_on(&self, value: &dyn Val) -> bool {
        if let Some(text) = value.downcast_ref::<CelString>() {
            return self.spend(steps_of(text.inner().len()));
        }
        if let Some(list) = value.downcast_ref::<CelList>() {
            let mut items = list.inner().iter();
            return self.spend(1)
                && items.all(|item| self.spend(ITEM_STEPS) && self.spend_on(item.as_ref()));
        }
        if let Some(map) = value.downcast_ref::<CelMap>() {
            let mut entries = map.inner().iter();
            return self.spend(1)
                && entries.all(|(key, value)| {
                    self.spend(2 * ITEM_STEPS)
                        && self.spend_on(key.inner())
                        && self.spend_on(value.as_ref())
                });
        }
        let bytes = value.downcast_ref::<CelBytes>();
        self.spend(bytes.map_or(1, |bytes| steps_of(bytes.inner().len())))
    }
}

fn steps_of(bytes_count: usize) -> u64 {
    1 + (bytes_count / STEP_BYTES) as u64
}

impl Val for Meter {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        static METER_TYPE: Type = Type::new_unspecified_type("meter");
        &METER_TYPE
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(Self(AtomicU64::new(self.0.load(Ordering::Relaxed))))
    }
}

impl StaticVal for Meter {}

/// What was wrapped to be weighed, or the part itself.
pub(super) fn unweighed(part: &IdedExpr) -> &IdedExpr {
    match &part.expr {
        Expr::Call(call) if call.func_name == WEIGH => call.args.last().unwrap_or(part),
        _ => part,
    }
}

/// Lets conditions of this environment weigh.
pub(super) fn add_to(environment: &mut Env) -> Result<(), cel::DeclarationError> {
    environment.add_overload(WEIGH, WEIGH, vec![DYN_TYPE, DYN_TYPE], weigh)
}

/// Hands on its second value, if the meter in the first still lets it pass.
fn weigh<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    match (args.pop(), args.pop()) {
        (Some(value), Some(meter))
            if spend(&meter, |meter| {
                meter.spend(WEIGH_STEPS) && meter.spend_on(value.as_ref())
            }) =>
        {
            Ok(value)
        }
        _ => Err(used_up()),
    }
}

/// Whether the meter lets something pass.
pub(super) fn spend(meter: &CowVal<'_, '_>, cost: impl Fn(&Meter) -> bool) -> bool {
    meter.downcast_ref::<Meter>().is_some_and(cost)
}

/// The error of a condition that costs too much.
pub(super) fn used_up() -> ExecutionError {
    ExecutionError::UndeclaredReference(METER.to_owned().into())
}
