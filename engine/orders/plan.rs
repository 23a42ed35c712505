//! Plans orders from verdicts, consent and what was ordered before. A pure function.
//!
//! In:  one photo, the verdicts of the rules, the terms of each provider, the limits of the rule
//! files, what was ordered before.
//! Out: orders that are `ready`, wait for others (`planned`), for their time (`held`) or for a yes (`ask`), or are not
//! covered (`refused`), with the reason in words. Nothing is dropped in silence: a companion that a rule names and that the consent
//! does not cover stays at home, and so does one that never came; the reason says so and the
//! photo goes without it.
//!
//! An order whose provider the consent does not cover goes to the next one that its rule names, as
//! `failover` says. What part of the photo a product shows, and whether that has enough pixels, is
//! in `fit`.
//!
//! The key of an order is derived from rule, photo version, provider and product, so that
//! planning again gives the same keys and the store keeps the first.
//!
//! A limit only takes away: an order that exceeds one asks, whatever its rule says, and it is held
//! for the longest time that its rule or a limit wants, and out of quiet hours.
//!
//! Knows no database, clock or network.

use std::collections::{BTreeMap, BTreeSet};

use super::fit::Fitting;
use super::terms::Terms;
use crate::base::clock::{Moment, Timestamp};
use crate::base::crop::Crop;
use crate::base::ids::{ContentHash, derived};
use crate::base::member::Member;
use crate::base::money::{Money, decimal};
use crate::preview::{PreviewSpec, PreviewWish};
use crate::rules::limit::{Limit, out_of_quiet};
use crate::rules::{Confirm, Verdict, Wish};
use crate::store::{Hold, Order, OrderState, Purpose, Spent, Usage};

/// The photo that was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// Its version.
    pub hash: ContentHash,
    /// Name of the collection that it was found in.
    pub collection: String,
    /// Path inside the collection.
    pub relative: String,
    /// What its companions are.
    pub companions: BTreeSet<Member>,
    /// Companions that it says exist and that did not come in time.
    pub missing: Vec<Missing>,
    /// Enrolled people who are in it for sure.
    pub people: Vec<String>,
    /// Pixels of the upright original, width and height; absent where nobody knows.
    pub pixels: Option<(u32, u32)>,
    /// Where faces and icons are on it.
    pub marks: Vec<Mark>,
}

/// A face or an icon on a photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// A face, whole.
    Face {
        /// Where it is. Whose it is has no place in an order.
        part: Crop,
    },
    /// An icon.
    Icon {
        /// Its name.
        name: String,
        /// Whether it is one for sure.
        is_sure: bool,
        /// Where it is.
        part: Crop,
        /// Where the card is that it is printed on, should it be on one.
        card: Crop,
    },
}

/// What the owner agreed to.
#[derive(Debug, Clone, Copy)]
pub struct Agreed<'a> {
    /// Terms by name of the provider; who is absent gets nothing.
    pub consent: &'a BTreeMap<String, Terms>,
    /// What narrows orders.
    pub limits: &'a [Limit],
}

/// What was ordered before, but for what is planned anew now.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// What counts towards the limits of each provider; who is absent has nothing.
    pub usage: BTreeMap<String, Usage>,
    /// What counts towards each limit, in their order.
    pub spent: Vec<Spent>,
    /// Since when orders are held that are planned anew, by their keys.
    pub held_since: BTreeMap<String, Timestamp>,
    /// When parcels close that orders still wait for, by provider and addressee.
    pub closing: BTreeMap<(String, Option<String>), Timestamp>,
}

/// A companion that a photo says exists and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What it is.
    pub member: Member,
    /// Its file's name, if the photo says it.
    pub name: Option<String>,
}

/// One wish at one provider.
#[derive(Clone)]
pub(super) struct Wished<'a> {
    pub(super) rule: &'a str,
    pub(super) revision: &'a str,
    /// Why, in words.
    pub(super) reason: String,
    pub(super) asks: bool,
    pub(super) doubts: &'a [String],
    pub(super) hold_ms: i64,
    pub(super) provider: &'a str,
    pub(super) purpose: Purpose,
    pub(super) product: Option<&'a str>,
    pub(super) copies: u32,
    pub(super) addressee: Option<&'a str>,
    pub(super) express: bool,
    pub(super) with: &'a [Member],
    pub(super) preview: PreviewWish,
    pub(super) price_max: Option<&'a Money>,
    pub(super) remove_icon: bool,
    /// Providers behind this one.
    pub(super) fallback: &'a [String],
    /// Key of the order at the one before.
    pub(super) instead_of: Option<String>,
}

/// Derives the key of an order: a second scan, a crash or a lost row cannot order twice.
pub fn order_key(rule: &str, photo: ContentHash, provider: &str, product: Option<&str>) -> String {
    derived("order", &[rule, &photo.to_string(), provider, product.unwrap_or("")])
}

/// Plans the orders that follow from the verdicts on one photo.
///
/// - `before`: orders planned here that go out without a yes count for those after them
///
/// One [`Wish::Forbid`] among the verdicts and nothing is planned. Wishes that stay on the
/// computer are no orders.
pub fn plan(
    photo: &Photo,
    verdicts: &[Verdict],
    agreed: Agreed<'_>,
    before: &Before,
    now: Moment,
) -> Vec<Order> {
    if verdicts.iter().any(|verdict| verdict.wish == Wish::Forbid) {
        return Vec::new();
    }
    let mut before = before.clone();
    before.spent.resize(agreed.limits.len(), Spent::default());
    let mut orders: Vec<Order> = Vec::new();
    for verdict in verdicts {
        let mut next = Wished::of(verdict);
        while let Some(wished) = next.take() {
            let order = decide(photo, &wished, agreed, &before, now);
            if orders.iter().any(|other| other.order_key == order.order_key) {
                break;
            }
            if order.state == OrderState::Refused {
                next = wished.at_the_next(&order.order_key, &order.reason);
            }
            if let (OrderState::Planned, Some(hold)) = (order.state, order.hold) {
                let with = (order.provider.clone(), order.addressee.clone());
                before.closing.insert(with, hold.until);
            }
            if matches!(order.state, OrderState::Ready | OrderState::Held | OrderState::Planned) {
                before.count(&order, agreed.limits);
            }
            orders.push(order);
        }
    }
    orders
}

impl<'a> Wished<'a> {
    /// What a verdict wants of its first provider; nothing where it stays on the computer.
    fn of(verdict: &'a Verdict) -> Option<Self> {
        let Verdict { rule, revision, wish, confirm, reason, doubts, hold_ms } = verdict;
        let share = |provider: &'a String| Self {
            rule,
            revision,
            reason: reason.clone(),
            asks: *confirm == Confirm::Ask,
            doubts,
            hold_ms: *hold_ms,
            provider,
            purpose: Purpose::Share,
            product: None,
            copies: 1,
            addressee: None,
            express: false,
            with: &[],
            preview: PreviewWish::default(),
            price_max: None,
            remove_icon: false,
            fallback: &[],
            instead_of: None,
        };
        Some(match wish {
            Wish::Forbid | Wish::Keep | Wish::Note => return None,
            Wish::Order {
                provider,
                product,
                copies,
                addressee,
                express,
                with,
                or,
                price_max,
                remove_icon,
            } => Self {
                purpose: Purpose::Print,
                product: Some(product),
                copies: (*copies).max(1),
                addressee: addressee.as_deref(),
                express: *express,
                with,
                price_max: price_max.as_ref(),
                remove_icon: *remove_icon,
                fallback: or,
                ..share(provider)
            },
            Wish::Share { provider, addressee, preview, with } => {
                Self { addressee: addressee.as_deref(), preview: *preview, with, ..share(provider) }
            }
        })
    }
}

impl Before {
    /// Counts an order that goes out.
    pub fn count(&mut self, order: &Order, limits: &[Limit]) {
        let usage = self.usage.entry(order.provider.clone()).or_default();
        usage.orders_count_day = usage.orders_count_day.saturating_add(1);
        usage.spent_minor_month = usage.spent_minor_month.saturating_add(order.price_minor);
        for (limit, spent) in limits.iter().zip(&mut self.spent) {
            if !limit.of.takes(order) {
                continue;
            }
            spent.orders_count = spent.orders_count.saturating_add(1);
            spent.copies_count = spent.copies_count.saturating_add(order.copies);
            if limit.currency() == order.currency {
                spent.minor = spent.minor.saturating_add(order.price_minor);
            }
        }
    }
}

/// What becomes of one wish at one provider.
pub(super) fn decide(
    photo: &Photo,
    wished: &Wished<'_>,
    agreed: Agreed<'_>,
    before: &Before,
    now: Moment,
) -> Order {
    let terms = agreed.consent.get(wished.provider);
    let product = terms
        .zip(wished.product)
        .and_then(|(terms, name)| Some((terms, name, terms.products.get(name)?)));
    let price_minor = product
        .and_then(|(.., product)| product.price_minor.checked_mul(i64::from(wished.copies)))
        .unwrap_or(0);
    let fit = product.map(|(terms, name, _)| {
        let tells_crop = terms.target.carries().crop;
        let (products, remove_icon) = (&terms.products, wished.remove_icon);
        Fitting { photo, products, tells_crop, remove_icon }.fit(name)
    });
    let fit = fit.unwrap_or_default();
    let mut order = Order {
        order_key: order_key(wished.rule, photo.hash, wished.provider, wished.product),
        rule: wished.rule.to_owned(),
        revision: wished.revision.to_owned(),
        photo: photo.hash,
        collection: photo.collection.clone(),
        relative: photo.relative.clone(),
        provider: wished.provider.to_owned(),
        purpose: wished.purpose,
        product: wished.product.map(str::to_owned),
        copies: wished.copies,
        addressee: wished.addressee.map(str::to_owned),
        express: wished.express,
        companions: wished.with.to_vec(),
        preview: preview_of(wished, terms),
        price_minor,
        currency: terms.map_or("XXX", |terms| terms.currency.as_str()).to_owned(),
        people: photo.people.clone(),
        hold: None,
        state: OrderState::Ready,
        reason: wished.reason.clone(),
        origin: wished.reason.clone(),
        crop: fit.crop,
        remove_icon: wished.remove_icon,
        price_max: wished.price_max.cloned(),
        fallback: wished.fallback.to_vec(),
        instead_of: wished.instead_of.clone(),
        created_at: now.at,
        updated_at: now.at,
    };
    let usage = before.usage.get(wished.provider).copied().unwrap_or_default();
    let limits =
        agreed.limits.iter().zip(&before.spent).filter(|(limit, _)| limit.of.takes(&order));
    match covered(wished, terms, price_minor, usage, now.at) {
        Err(reason) => (order.state, order.reason) = (OrderState::Refused, reason),
        Ok(exceeded) => {
            let held = limits.clone().map(|(limit, _)| limit.hold_ms);
            let hold_ms = held.fold(wished.hold_ms, i64::max);
            let since = before.held_since.get(&order.order_key).copied().unwrap_or(now.at);
            let goes_at = since.plus_millis(hold_ms).max(now.at);
            let goes_now = goes_at == now.at;
            let asks = limits
                .clone()
                .filter_map(|(limit, spent)| limit.asks_for(&order, *spent, goes_now, now));
            let asks: Vec<String> = wished
                .doubts
                .iter()
                .cloned()
                .chain(fit.doubts)
                .chain(order.over_price_max(price_minor, &order.currency))
                .chain(exceeded)
                .chain(asks)
                .collect();
            let until = out_of_quiet(&limits.map(|(limit, _)| limit), goes_at, now);
            if wished.asks || !asks.is_empty() {
                order.state = OrderState::Ask;
                if !asks.is_empty() {
                    order.reason = format!("{}; but {}", order.reason, asks.join(", and "));
                }
            } else if hold_ms > 0 || until > now.at {
                order.hold = Some(Hold { from: since, until });
                if until > now.at {
                    order.state = OrderState::Held;
                }
            }
            if order.state == OrderState::Ready
                && let Some(until) = closes(&order, terms, before, since)
                && until > now.at
            {
                order.hold = Some(Hold { from: since, until });
                order.state = OrderState::Planned;
            }
        }
    }
    for words in left_out(photo, wished, terms).into_iter().chain(fit.remark) {
        order.reason = format!("{}; {words}", order.reason);
    }
    order
}

/// When the parcel closes that an order goes with; `None`: it goes alone. An urgent one does not
/// wait.
fn closes(
    order: &Order,
    terms: Option<&Terms>,
    before: &Before,
    since: Timestamp,
) -> Option<Timestamp> {
    let minutes = terms.map(|terms| terms.batch_minutes).filter(|minutes| *minutes > 0)?;
    if order.express {
        return None;
    }
    let with = (order.provider.clone(), order.addressee.clone());
    let own = since.plus_millis(i64::from(minutes) * 60_000);
    Some(before.closing.get(&with).copied().unwrap_or(own))
}

/// Which companions that are wished stay at home, and why.
fn left_out(photo: &Photo, wished: &Wished<'_>, terms: Option<&Terms>) -> Vec<String> {
    let Some(terms) = terms else { return Vec::new() };
    let provider = wished.provider;
    let words = wished.with.iter().flat_map(|member| {
        let uncovered = photo.companions.contains(member) && !terms.companions.contains(member);
        let uncovered = uncovered.then(|| {
            format!("without its {member}: the consent for provider `{provider}` does not cover it")
        });
        let missing = photo.missing.iter().filter(move |missing| missing.member == *member);
        let missing = missing.map(move |missing| {
            let name = missing.name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
            format!("without its {member}{name}, which did not come")
        });
        uncovered.into_iter().chain(missing)
    });
    words.collect()
}

/// How the preview of a share is to be; `None`: as always.
fn preview_of(wished: &Wished<'_>, terms: Option<&Terms>) -> Option<String> {
    let asked = terms.map(|terms| terms.preview).unwrap_or_default();
    let spec = wished.preview.over(asked).spec();
    (wished.purpose == Purpose::Share && spec != PreviewSpec::default()).then(|| spec.to_string())
}

/// Whether the consent covers a wish: `Err` never, `Ok(Some)` only if the owner says so now.
fn covered(
    wished: &Wished<'_>,
    terms: Option<&Terms>,
    price_minor: i64,
    usage: Usage,
    now: Timestamp,
) -> Result<Option<String>, String> {
    let provider = wished.provider;
    let terms = terms.ok_or_else(|| {
        format!("no consent for provider `{provider}`: see `signet consent allow`")
    })?;
    if terms.valid_until.is_some_and(|end| end <= now) {
        return Err(format!("the consent for provider `{provider}` has ended"));
    }
    if !terms.purposes.contains(&wished.purpose) {
        return Err(format!("provider `{provider}` may not get photos to {}", wished.purpose));
    }
    if let Some(product) = wished.product
        && !terms.products.contains_key(product)
    {
        return Err(format!("provider `{provider}` does not offer `{product}`"));
    }
    let limits = terms.limits;
    if wished.copies > limits.copies_per_order {
        return Ok(Some(format!(
            "{} copies are more than the {} of one order",
            wished.copies, limits.copies_per_order
        )));
    }
    if usage.orders_count_day >= limits.orders_per_day {
        return Ok(Some(format!("the limit of {} orders a day is reached", limits.orders_per_day)));
    }
    let spent = usage.spent_minor_month.saturating_add(price_minor);
    if price_minor > 0 && spent > limits.spend_minor_per_month {
        return Ok(Some(format!(
            "with it this month's orders would cost {} {}, the limit is {}",
            decimal(spent),
            terms.currency,
            decimal(limits.spend_minor_per_month)
        )));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::money::{Currency, Money};
    use crate::orders::catalogue::Product;
    use crate::orders::terms::{Fees, Limits};
    use crate::rules::limit::Quiet;
    use crate::store::OrderFilter;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn terms() -> Terms {
        Terms {
            orders_url: "http://127.0.0.1:1/".into(),
            purposes: [Purpose::Print].into(),
            products: [("print-10x15".to_owned(), Product::priced(29))].into(),
            companions: [Member::VoiceMemo].into(),
            fees: Fees { original_minor: 25, preview_minor: 0, companion_minor: 5 },
            service_percent: 20,
            service: "signet".into(),
            limits: Limits {
                orders_per_day: 2,
                copies_per_order: 3,
                spend_minor_per_month: 100,
                grant_hours: 1,
            },
            ..Terms::new(Currency::try_from("EUR".to_owned()).expect("a currency"))
        }
    }

    fn photo() -> Photo {
        Photo {
            hash: ContentHash::of(b"p"),
            collection: "c".into(),
            relative: "p.jpg".into(),
            companions: [Member::VoiceMemo, Member::Motion].into(),
            missing: Vec::new(),
            people: vec!["Anna".into()],
            pixels: None,
            marks: Vec::new(),
        }
    }

    fn wish(rule: &str, product: &str, copies: u32) -> Verdict {
        Verdict {
            rule: rule.into(),
            revision: "0".repeat(12),
            wish: Wish::Order {
                provider: "lab".into(),
                product: product.into(),
                copies,
                addressee: None,
                express: false,
                with: Vec::new(),
                or: Vec::new(),
                price_max: None,
                remove_icon: false,
            },
            confirm: Confirm::No,
            reason: "an icon".into(),
            doubts: Vec::new(),
            hold_ms: 0,
        }
    }

    fn states(verdicts: &[Verdict], change: impl Fn(&mut Terms)) -> Vec<OrderState> {
        let mut terms = terms();
        change(&mut terms);
        planned(&photo(), verdicts, terms, &[], &Before::default())
            .into_iter()
            .map(|order| order.state)
            .collect()
    }

    fn planned(
        photo: &Photo,
        verdicts: &[Verdict],
        terms: Terms,
        limits: &[Limit],
        before: &Before,
    ) -> Vec<Order> {
        let consent = [("lab".to_owned(), terms)].into();
        let agreed = Agreed { consent: &consent, limits };
        plan(photo, verdicts, agreed, before, Moment::utc(NOW))
    }

    #[test]
    fn wish_within_the_consent_is_ready() {
        assert_eq!(states(&[wish("a", "print-10x15", 2)], |_| ()), [OrderState::Ready]);
    }

    #[test]
    fn doubts_are_the_reason_of_an_order_that_waits() {
        let doubts = vec!["the icon is faint".to_owned(), "there are two addressees".to_owned()];
        let verdict = Verdict { confirm: Confirm::Ask, doubts, ..wish("a", "print-10x15", 1) };
        let orders = planned(&photo(), &[verdict], terms(), &[], &Before::default());
        assert_eq!(
            orders[0].reason,
            "an icon; but the icon is faint, and there are two addressees"
        );
        assert_eq!(orders[0].origin, "an icon");
    }

    #[test]
    fn wish_that_stays_on_the_computer_is_no_order() {
        let stays = |stays: Wish| Verdict { wish: stays, ..wish("a", "", 1) };
        assert_eq!(states(&[stays(Wish::Keep), stays(Wish::Note)], |_| ()), []);
    }

    #[test]
    fn one_forbid_stops_every_wish_on_the_photo() {
        let forbid = Verdict { wish: Wish::Forbid, ..wish("no", "", 1) };
        assert_eq!(states(&[wish("a", "print-10x15", 1), forbid], |_| ()), []);
    }

    #[test]
    fn wish_outside_the_consent_is_refused() {
        let one = [wish("a", "print-10x15", 1)];
        assert_eq!(states(&[wish("a", "mug", 1)], |_| ()), [OrderState::Refused]);
        assert_eq!(states(&one, |t| t.purposes.clear()), [OrderState::Refused]);
        assert_eq!(states(&one, |t| t.valid_until = Some(NOW)), [OrderState::Refused]);
        let elsewhere = Verdict {
            wish: Wish::Order {
                provider: "x".into(),
                product: "mug".into(),
                copies: 1,
                addressee: None,
                express: false,
                with: Vec::new(),
                or: Vec::new(),
                price_max: None,
                remove_icon: false,
            },
            ..wish("a", "", 1)
        };
        assert_eq!(states(&[elsewhere], |_| ()), [OrderState::Refused]);
    }

    #[test]
    fn wish_over_a_limit_asks() {
        assert_eq!(states(&[wish("a", "print-10x15", 4)], |_| ()), [OrderState::Ask]);
        let two = [wish("a", "print-10x15", 2), wish("b", "print-10x15", 2)];
        assert_eq!(states(&two, |_| ()), [OrderState::Ready, OrderState::Ask], "58 + 58 > 100");
        let three =
            [wish("a", "print-10x15", 1), wish("b", "print-10x15", 1), wish("c", "print-10x15", 1)];
        let (ready, ask) = (OrderState::Ready, OrderState::Ask);
        assert_eq!(states(&three, |_| ()), [ready, ready, ask], "two a day");
    }

    fn with(companions: &[Member]) -> Verdict {
        let mut verdict = wish("a", "print-10x15", 1);
        if let Wish::Order { with, .. } = &mut verdict.wish {
            *with = companions.to_vec();
        }
        verdict
    }

    /// State and reason of the order for companions that a rule names.
    #[track_caller]
    fn check_with(photo: &Photo, companions: &[Member], state: OrderState, reason: &str) {
        let orders = planned(photo, &[with(companions)], terms(), &[], &Before::default());
        assert_eq!((orders[0].state, orders[0].reason.as_str()), (state, reason));
        assert_eq!(
            (orders[0].companions.as_slice(), orders[0].origin.as_str()),
            (companions, "an icon")
        );
    }

    #[test]
    fn companion_outside_the_consent_stays_at_home_and_the_photo_goes() {
        let ready = OrderState::Ready;
        check_with(&photo(), &[], ready, "an icon");
        check_with(&photo(), &[Member::VoiceMemo], ready, "an icon");
        let reason =
            "an icon; without its motion: the consent for provider `lab` does not cover it";
        check_with(&photo(), &[Member::VoiceMemo, Member::Motion], ready, reason);
        // What the photo does not have need not be told.
        check_with(&photo(), &[Member::Raw], ready, "an icon");
    }

    #[test]
    fn companion_that_did_not_come_is_told_where_a_rule_names_it() {
        let late = |member, name: Option<&str>| Missing { member, name: name.map(str::to_owned) };
        let photo = Photo {
            companions: BTreeSet::new(),
            missing: vec![late(Member::VoiceMemo, Some("DSC_1.WAV")), late(Member::Motion, None)],
            ..photo()
        };
        let reason = "an icon; without its voice-memo `DSC_1.WAV`, which did not come";
        check_with(&photo, &[Member::VoiceMemo], OrderState::Ready, reason);
        let reason = "an icon; without its motion, which did not come";
        check_with(&photo, &[Member::Motion], OrderState::Ready, reason);
        check_with(&photo, &[], OrderState::Ready, "an icon");
    }

    #[test]
    fn forbidden_photo_leaves_nothing_not_even_its_companions() {
        let forbid = Verdict { wish: Wish::Forbid, ..wish("no", "", 1) };
        assert_eq!(states(&[with(&[Member::VoiceMemo]), forbid], |_| ()), []);
    }

    fn limit(name: &str) -> Limit {
        Limit {
            name: name.into(),
            of: OrderFilter::default(),
            month: None,
            orders: None,
            copies: None,
            hold_ms: 0,
            quiet: None,
            asks: false,
        }
    }

    fn euros(minor: i64) -> Option<Money> {
        Some(Money { minor, currency: Currency::try_from("EUR".to_owned()).expect("one") })
    }

    /// State and reason of one order of two prints, 58 cents, under a limit.
    #[track_caller]
    fn check_limit(limit: Limit, spent: Spent, state: OrderState, reason: &str) {
        let before = Before { spent: vec![spent], ..Before::default() };
        let verdict = wish("a", "print-10x15", 2);
        let orders = planned(&photo(), &[verdict], terms(), &[limit], &before);
        assert_eq!((orders[0].state, orders[0].reason.as_str()), (state, reason));
    }

    #[test]
    fn order_beyond_a_limit_of_the_month_asks_and_says_how_far() {
        let spent = Spent { orders_count: 3, copies_count: 5, minor: 42 };
        let (ready, ask) = (OrderState::Ready, OrderState::Ask);
        let month = |minor| Limit { month: euros(minor), ..limit("m") };
        check_limit(month(100), spent, ready, "an icon");
        let reason = "an icon; but with it this month's orders would cost 1.00 EUR, the limit `m` \
                      is 0.99";
        check_limit(month(99), spent, ask, reason);
        check_limit(Limit { orders: Some(4), ..limit("m") }, spent, ready, "an icon");
        let reason = "an icon; but the limit `m` of 3 orders a month is reached";
        check_limit(Limit { orders: Some(3), ..limit("m") }, spent, ask, reason);
        let reason =
            "an icon; but with it this month's orders would be 7 copies, the limit `m` is 6";
        check_limit(Limit { copies: Some(7), ..limit("m") }, spent, ready, "an icon");
        check_limit(Limit { copies: Some(6), ..limit("m") }, spent, ask, reason);
        let asks = Limit { asks: true, ..limit("m") };
        check_limit(asks, spent, ask, "an icon; but the limit `m` asks first");
        let dollars =
            Money { minor: 999, currency: Currency::try_from("USD".to_owned()).expect("one") };
        let reason = "an icon; but it costs EUR, and the limit `m` is in USD";
        check_limit(Limit { month: Some(dollars), ..limit("m") }, spent, ask, reason);
    }

    #[test]
    fn limit_holds_for_the_orders_that_it_names_and_for_no_others() {
        let names = |change: &dyn Fn(&mut OrderFilter)| {
            let mut limit = Limit { asks: true, ..limit("m") };
            change(&mut limit.of);
            let orders = [wish("a", "print-10x15", 1)];
            planned(&photo(), &orders, terms(), &[limit], &Before::default())[0].state
        };
        let (ready, ask) = (OrderState::Ready, OrderState::Ask);
        assert_eq!(names(&|of| of.rules = vec!["a".into(), "b".into()]), ask);
        assert_eq!(names(&|of| of.rules = vec!["b".into()]), ready);
        assert_eq!(names(&|of| of.providers = vec!["lab".into()]), ask);
        assert_eq!(names(&|of| of.providers = vec!["x".into()]), ready);
        assert_eq!(names(&|of| of.products = vec!["print-10x15".into()]), ask);
        assert_eq!(names(&|of| of.products = vec!["mug".into()]), ready);
        assert_eq!(names(&|of| of.people = vec!["Ben".into(), "Anna".into()]), ask);
        assert_eq!(names(&|of| of.people = vec!["Ben".into()]), ready);
        assert_eq!(names(&|of| of.addressees = vec![String::new()]), ask);
        assert_eq!(names(&|of| of.addressees = vec!["a".into()]), ready);
        assert_eq!(
            names(&|of| {
                of.rules = vec!["a".into()];
                of.people = vec!["Ben".into()];
            }),
            ready,
            "every list has to hold"
        );
    }

    #[test]
    fn orders_of_one_photo_count_towards_a_limit_one_after_the_other() {
        let month = Limit { month: euros(60), ..limit("m") };
        let wishes =
            [wish("a", "print-10x15", 1), wish("b", "print-10x15", 2), wish("c", "print-10x15", 1)];
        let before = Before::default();
        let orders = planned(
            &photo(),
            &wishes,
            Terms { limits: Limits::default(), ..terms() },
            &[month],
            &before,
        );
        let states: Vec<_> = orders.iter().map(|order| order.state).collect();
        assert_eq!(states, [OrderState::Ready, OrderState::Ask, OrderState::Ready]);
    }

    const HOUR_MS: i64 = 3_600_000;

    /// How one order is held, in hours from now.
    fn held(
        hold_h: i64,
        limits: &[Limit],
        since_h: Option<i64>,
    ) -> (OrderState, Option<(i64, i64)>) {
        let mut before = Before::default();
        let verdict = Verdict { hold_ms: hold_h * HOUR_MS, ..wish("a", "print-10x15", 1) };
        if let Some(since_h) = since_h {
            let key = order_key("a", photo().hash, "lab", Some("print-10x15"));
            before.held_since.insert(key, NOW.plus_millis(since_h * HOUR_MS));
        }
        let orders = planned(&photo(), &[verdict], terms(), limits, &before);
        let hours = |at: Timestamp| (at.0 - NOW.0).div_euclid(HOUR_MS);
        (orders[0].state, orders[0].hold.map(|hold| (hours(hold.from), hours(hold.until))))
    }

    #[test]
    fn order_is_held_for_the_longest_time_that_anybody_wants_and_not_anew_each_time() {
        let longer = Limit { hold_ms: 48 * HOUR_MS, ..limit("m") };
        assert_eq!(held(0, &[], None), (OrderState::Ready, None));
        assert_eq!(held(24, &[], None), (OrderState::Held, Some((0, 24))));
        assert_eq!(held(24, &[longer], None), (OrderState::Held, Some((0, 48))));
        assert_eq!(held(24, &[], Some(-20)), (OrderState::Held, Some((-20, 4))));
        assert_eq!(held(24, &[], Some(-24)), (OrderState::Ready, Some((-24, 0))));
    }

    #[test]
    fn quiet_hours_ask_or_wait_and_what_is_held_goes_out_behind_them() {
        // It is 14:13 UTC.
        let quiet = |from: u16, to: u16, waits| {
            [Limit { quiet: Some(Quiet { from: from * 60, to: to * 60, waits }), ..limit("m") }]
        };
        assert_eq!(held(0, &quiet(13, 16, false), None), (OrderState::Ask, None));
        assert_eq!(held(0, &quiet(13, 16, true), None), (OrderState::Held, Some((0, 1))));
        assert_eq!(held(0, &quiet(15, 16, false), None), (OrderState::Ready, None));
        assert_eq!(held(1, &quiet(15, 18, false), None), (OrderState::Held, Some((0, 3))));
        assert_eq!(held(0, &quiet(22, 15, false), None), (OrderState::Ask, None), "over midnight");
    }

    #[test]
    fn same_wish_twice_is_one_order() {
        let twice = [wish("a", "print-10x15", 1), wish("a", "print-10x15", 2)];
        assert_eq!(states(&twice, |_| ()).len(), 1);
    }
}
