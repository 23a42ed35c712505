//! Plans orders from verdicts, consent and what was ordered before. A pure function.
//!
//! In:  one photo, the verdicts of the rules, the terms of each provider, usage so far.
//! Out: orders that are `ready`, wait (`ask`) or are not covered (`refused`), with the reason
//! in words. Nothing is dropped in silence: a companion that a rule names and that the consent
//! does not cover stays at home, and so does one that never came; the reason says so and the
//! photo goes without it.
//!
//! The key of an order is derived from rule, photo version, provider and product, so that
//! planning again gives the same keys and the store keeps the first.
//!
//! Knows no database, clock or network.

use std::collections::{BTreeMap, BTreeSet};

use super::terms::Terms;
use crate::base::clock::Timestamp;
use crate::base::ids::{ContentHash, derived};
use crate::base::member::Member;
use crate::base::money::decimal;
use crate::preview::{PreviewSpec, PreviewWish};
use crate::rules::{Confirm, Verdict, Wish};
use crate::store::{Order, OrderState, Purpose, Usage};

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
}

/// A companion that a photo says exists and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What it is.
    pub member: Member,
    /// Its file's name, if the photo says it.
    pub name: Option<String>,
}

/// One wish after the consent was asked.
struct Wished<'a> {
    verdict: &'a Verdict,
    provider: &'a str,
    purpose: Purpose,
    product: Option<&'a str>,
    copies: u32,
    addressee: Option<&'a str>,
    express: bool,
    with: &'a [Member],
    preview: PreviewWish,
}

/// Derives the key of an order: a second scan, a crash or a lost row cannot order twice.
pub fn order_key(rule: &str, photo: ContentHash, provider: &str, product: Option<&str>) -> String {
    derived("order", &[rule, &photo.to_string(), provider, product.unwrap_or("")])
}

/// Plans the orders that follow from the verdicts on one photo.
///
/// - `consent`: terms by provider name; providers that are absent get nothing
/// - `usage`: what already counts towards each provider's limits; orders planned here as
///   `ready` count for those after them
///
/// One [`Wish::Forbid`] among the verdicts and nothing is planned. Wishes that stay on the
/// computer are no orders.
pub fn plan(
    photo: &Photo,
    verdicts: &[Verdict],
    consent: &BTreeMap<String, Terms>,
    usage: &dyn Fn(&str) -> Usage,
    now: Timestamp,
) -> Vec<Order> {
    if verdicts.iter().any(|verdict| verdict.wish == Wish::Forbid) {
        return Vec::new();
    }
    let mut used: BTreeMap<&str, Usage> = BTreeMap::new();
    let mut orders: Vec<Order> = Vec::new();
    for verdict in verdicts {
        let wished = match &verdict.wish {
            Wish::Forbid | Wish::Keep | Wish::Note => continue,
            Wish::Order { provider, product, copies, addressee, express, with } => Wished {
                verdict,
                provider,
                purpose: Purpose::Print,
                product: Some(product),
                copies: (*copies).max(1),
                addressee: addressee.as_deref(),
                express: *express,
                preview: PreviewWish::default(),
                with,
            },
            Wish::Share { provider, addressee, preview, with } => Wished {
                verdict,
                provider,
                purpose: Purpose::Share,
                product: None,
                copies: 1,
                addressee: addressee.as_deref(),
                express: false,
                preview: *preview,
                with,
            },
        };
        let usage = used.entry(wished.provider).or_insert_with(|| usage(wished.provider));
        let order = decide(photo, &wished, consent.get(wished.provider), *usage, now);
        if orders.iter().any(|other| other.order_key == order.order_key) {
            continue;
        }
        if order.state == OrderState::Ready {
            usage.orders_count_day = usage.orders_count_day.saturating_add(1);
            usage.spent_minor_month = usage.spent_minor_month.saturating_add(order.price_minor);
        }
        orders.push(order);
    }
    orders
}

fn decide(
    photo: &Photo,
    wished: &Wished<'_>,
    terms: Option<&Terms>,
    usage: Usage,
    now: Timestamp,
) -> Order {
    let verdict = wished.verdict;
    let price_minor = terms
        .zip(wished.product)
        .and_then(|(terms, product)| terms.products.get(product))
        .and_then(|price| price.checked_mul(i64::from(wished.copies)))
        .unwrap_or(0);
    let (state, reason) = match covered(wished, terms, price_minor, usage, now) {
        Err(reason) => (OrderState::Refused, reason),
        Ok(Some(limit)) => (OrderState::Ask, limit),
        Ok(None) if verdict.confirm == Confirm::Ask => {
            let reason = match verdict.doubts.as_slice() {
                [] => verdict.reason.clone(),
                doubts => format!("{}; but {}", verdict.reason, doubts.join(", and ")),
            };
            (OrderState::Ask, reason)
        }
        Ok(None) => (OrderState::Ready, verdict.reason.clone()),
    };
    let reason = std::iter::once(reason).chain(left_out(photo, wished, terms));
    let reason = reason.collect::<Vec<_>>().join("; ");
    Order {
        order_key: order_key(&verdict.rule, photo.hash, wished.provider, wished.product),
        rule: verdict.rule.clone(),
        revision: verdict.revision.clone(),
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
        state,
        reason,
        origin: verdict.reason.clone(),
        created_at: now,
        updated_at: now,
    }
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
    use crate::base::money::Currency;
    use crate::orders::terms::{Fees, Limits};

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn terms() -> Terms {
        Terms {
            orders_url: "http://127.0.0.1:1/".into(),
            key: String::new(),
            purposes: [Purpose::Print].into(),
            currency: Currency::try_from("EUR".to_owned()).expect("a currency"),
            products: [("print-10x15".to_owned(), 29)].into(),
            companions: [Member::VoiceMemo].into(),
            structure: false,
            fees: Fees { original_minor: 25, preview_minor: 0, companion_minor: 5 },
            preview: Default::default(),
            service_percent: 20,
            service: "signet".into(),
            limits: Limits {
                orders_per_day: 2,
                copies_per_order: 3,
                spend_minor_per_month: 100,
                grant_hours: 1,
            },
            valid_until: None,
        }
    }

    fn photo() -> Photo {
        Photo {
            hash: ContentHash::of(b"p"),
            collection: "c".into(),
            relative: "p.jpg".into(),
            companions: [Member::VoiceMemo, Member::Motion].into(),
            missing: Vec::new(),
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
            },
            confirm: Confirm::No,
            reason: "an icon".into(),
            doubts: Vec::new(),
        }
    }

    fn states(verdicts: &[Verdict], change: impl Fn(&mut Terms)) -> Vec<OrderState> {
        let mut terms = terms();
        change(&mut terms);
        plan(&photo(), verdicts, &[("lab".to_owned(), terms)].into(), &|_| Usage::default(), NOW)
            .into_iter()
            .map(|order| order.state)
            .collect()
    }

    #[test]
    fn wish_within_the_consent_is_ready() {
        assert_eq!(states(&[wish("a", "print-10x15", 2)], |_| ()), [OrderState::Ready]);
    }

    #[test]
    fn doubts_are_the_reason_of_an_order_that_waits() {
        let doubts = vec!["the icon is faint".to_owned(), "there are two addressees".to_owned()];
        let verdict = Verdict { confirm: Confirm::Ask, doubts, ..wish("a", "print-10x15", 1) };
        let consent = [("lab".to_owned(), terms())].into();
        let orders = plan(&photo(), &[verdict], &consent, &|_| Usage::default(), NOW);
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
        let consent = [("lab".to_owned(), terms())].into();
        let orders = plan(photo, &[with(companions)], &consent, &|_| Usage::default(), NOW);
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

    #[test]
    fn same_wish_twice_is_one_order() {
        let twice = [wish("a", "print-10x15", 1), wish("a", "print-10x15", 2)];
        assert_eq!(states(&twice, |_| ()).len(), 1);
    }
}
