//! Reads what narrows orders: `[[limit]]`, a rule's `budget` and `hold`, the operator's `[[allow]]`.
//!
//! ```toml
//! [[limit]]
//! name = "family-month"
//! cost_per_month = "20.00 EUR"
//! rules = ["july-family"]          # without a list: all orders
//! ```
//!
//! Where there are files of the operator's, rules of the owner may order what those allow: what a
//! rule of theirs orders, and what an `[[allow]]` of theirs names. Files of the operator's are
//! read first, so that this is known.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{COPIES_MAX, Reader, Rule, Value, is_name, is_word};
use crate::base::money::{Currency, Money, parse_minor};
use crate::rules::limit::{HOLD_MS_MAX, Limit, Quiet, parse_minute, parse_span, span_words};
use crate::rules::source::{Author, hint};
use crate::store::OrderFilter;

pub(in crate::rules) const LIMIT_KEYS: [&str; 12] = [
    "name",
    "rules",
    "providers",
    "products",
    "persons",
    "addressees",
    "cost_per_month",
    "orders_per_month",
    "copies_per_month",
    "hold",
    "quiet",
    "confirm",
];
pub(in crate::rules) const BUDGET_KEYS: [&str; 3] =
    ["cost_per_month", "orders_per_month", "copies_per_month"];
pub(in crate::rules) const QUIET_KEYS: [&str; 3] = ["from", "until", "then"];
pub(in crate::rules) const ALLOW_KEYS: [&str; 4] =
    ["provider", "products", "previews", "copies_per_order"];

/// Most that an amount of a limit may be: more is a slip of the pen.
const COUNT_MAX: i64 = 1_000_000;

/// What the operator's files let rules of the owner order.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    orders: Vec<AllowedOrder>,
    /// Providers that previews may be shared with.
    shares: BTreeSet<String>,
}

#[derive(Debug)]
struct AllowedOrder {
    provider: String,
    /// `None`: whatever it is.
    product: Option<String>,
    copies_max: u32,
}

impl Allowed {
    /// A rule of the operator's orders it, or they allow it.
    pub(super) fn order(&mut self, provider: &str, product: Option<&str>, copies_max: u32) {
        let (provider, product) = (provider.to_owned(), product.map(str::to_owned));
        self.orders.push(AllowedOrder { provider, product, copies_max });
    }

    pub(super) fn share(&mut self, provider: &str) {
        self.shares.insert(provider.to_owned());
    }

    /// Most copies that may be ordered.
    pub(super) fn copies_max(&self, provider: &str, product: &str) -> Option<u32> {
        let covers = |order: &&AllowedOrder| {
            order.provider == provider
                && order.product.as_ref().is_none_or(|allowed| allowed == product)
        };
        self.orders.iter().filter(covers).map(|order| order.copies_max).max()
    }

    pub(super) fn may_share(&self, provider: &str) -> bool {
        self.shares.contains(provider)
    }
}

impl Reader<'_> {
    /// Reads `[[limit]]`.
    pub(super) fn limits(&mut self, value: &Value<'_>) -> Vec<Limit> {
        let tables = self.tables(value, "limit");
        tables.into_iter().filter_map(|table| self.limit(table)).collect()
    }

    fn limit(&mut self, (table, value): (&DeTable<'_>, &Value<'_>)) -> Option<Limit> {
        self.only(table, &LIMIT_KEYS, "a limit");
        let name = match table.get("name") {
            Some(value) => self.one_word(value, "name"),
            None => self.missing(&value.span(), "`name`, which you are told where it holds"),
        };
        let rules = self.words(table, "rules", is_word);
        for (rule, at) in rules.iter().flatten() {
            let mistake = self.source.mistake(*at, format!("there is no rule `{rule}`"));
            self.mentions.push((rule.clone(), mistake));
        }
        let persons = self.words(table, "persons", is_name);
        for (name, at) in persons.iter().flatten() {
            self.note_stranger(name, *at);
        }
        let known = self.known;
        let of = OrderFilter {
            rules: plain(rules?),
            providers: self.known_words(table, "providers", is_word, known.providers.as_deref())?,
            products: self.known_words(table, "products", is_word, known.products.as_deref())?,
            people: plain(persons?),
            addressees: plain(
                self.words(table, "addressees", |text| text.is_empty() || is_word(text))?,
            ),
        };
        let budget = self.budget_keys(table);
        let hold_ms = self.hold(table)?.unwrap_or(0);
        let quiet = match table.get("quiet") {
            Some(value) => Some(self.quiet(value)?),
            None => None,
        };
        let asks = match table.get("confirm") {
            Some(value) => self.choice(value, "confirm", ["no", "ask"])? == "ask",
            None => false,
        };
        let name = name?;
        let place = format!("limit {name}");
        if let Some(other) = self.places.get(&place) {
            let message = format!("the limit `{name}` is there already, in {other}");
            self.mistake(value.span().start, message);
            return None;
        }
        let (line, _) = self.source.place(value.span().start);
        self.places.insert(place, format!("{}:{line}", self.source.file));
        let limit = Limit { name, of, hold_ms, quiet, asks, ..budget? };
        if !limit.counts() && hold_ms == 0 && quiet.is_none() && !asks {
            let keys = "`cost_per_month`, `orders_per_month`, `copies_per_month`, `hold`, `quiet` or \
                        `confirm`";
            return self.missing(&value.span(), &format!("what it limits: {keys}"));
        }
        Some(limit)
    }

    /// The budget of a rule, as a limit for it; the rules made by one `each` share theirs.
    pub(super) fn budget(&mut self, table: &DeTable<'_>, made: &[Rule]) -> Option<Limit> {
        let value = table.get("budget")?;
        let inside = self.table(value, "budget = { cost_per_month = \"20.00 EUR\" }")?;
        self.only(inside, &BUDGET_KEYS, "`budget`");
        let mut limit = self.budget_keys(inside)?;
        if !limit.counts() {
            let keys = "`cost_per_month`, `orders_per_month` or `copies_per_month`";
            return self.missing(&value.span(), keys);
        }
        limit.of.rules = made.iter().map(|rule| rule.name.clone()).collect();
        limit.name = limit.of.rules.first()?.clone();
        Some(limit)
    }

    fn budget_keys(&mut self, table: &DeTable<'_>) -> Option<Limit> {
        let month = match table.get("cost_per_month") {
            Some(value) => Some(self.money(value, "cost_per_month")?),
            None => None,
        };
        let orders = self.number(table, "orders_per_month", COUNT_MAX)?;
        let copies = self.number(table, "copies_per_month", COUNT_MAX)?;
        let (name, of) = (String::new(), OrderFilter::default());
        Some(Limit { name, of, month, orders, copies, hold_ms: 0, quiet: None, asks: false })
    }

    /// How long orders are held, in milliseconds; `None` inside where nothing is said.
    pub(super) fn hold(&mut self, table: &DeTable<'_>) -> Option<Option<i64>> {
        let Some(value) = table.get("hold") else { return Some(None) };
        let span_ms = self.text(value, "hold").and_then(parse_span);
        if span_ms.is_none() {
            let most = span_words(HOLD_MS_MAX);
            let message = format!(
                "`hold` is a time such as \"30m\", \"24h\" or \"3d\", at most {most}; \"0\" is none"
            );
            self.mistake(value.span().start, message);
        }
        span_ms.map(Some)
    }

    fn quiet(&mut self, value: &Value<'_>) -> Option<Quiet> {
        let shape = "quiet = { from = \"22:00\", until = \"07:00\" }";
        let table = self.table(value, shape)?;
        self.only(table, &QUIET_KEYS, "`quiet`");
        let mut minute = |key: &str| {
            let Some(value) = table.get(key) else {
                return self.missing(&value.span(), &format!("`{key}`, a time such as \"22:00\""));
            };
            let minute = self.text(value, key).and_then(parse_minute);
            if minute.is_none() {
                let message =
                    format!("`{key}` is a time of the day such as \"07:00\" or \"22:30\"");
                self.mistake(value.span().start, message);
            }
            minute
        };
        let (from, to) = (minute("from"), minute("until"));
        let waits = match table.get("then") {
            Some(value) => self.choice(value, "then", ["ask", "wait"])? == "wait",
            None => false,
        };
        let (from, to) = (from?, to?);
        if from == to {
            let message = "`from` and `until` are the same: that is no time, or the whole day";
            self.mistake(value.span().start, message);
            return None;
        }
        Some(Quiet { from, to, waits })
    }

    /// Reads `[[allow]]`.
    pub(super) fn allow(&mut self, value: &Value<'_>) {
        if self.by != Author::Operator {
            let message = "only the operator's files, in the folder `operator`, allow something; \
                           yours narrow it with `[[limit]]`";
            self.mistake(value.span().start, message);
            return;
        }
        for (table, value) in self.tables(value, "allow") {
            self.only(table, &ALLOW_KEYS, "`[[allow]]`");
            let provider = match table.get("provider") {
                Some(value) => self.one_word(value, "provider"),
                None => self.missing(&value.span(), "`provider`"),
            };
            let known = self.known.products.as_deref();
            let products = self.known_words(table, "products", is_word, known);
            let copies = self.number(table, "copies_per_order", i64::from(COPIES_MAX));
            let previews =
                table.get("previews").is_some_and(|value| self.is_true(value, "previews"));
            let (Some(provider), Some(products), Some(copies)) = (provider, products, copies)
            else {
                continue;
            };
            let copies_max = copies.unwrap_or(COPIES_MAX);
            if previews {
                self.allowed.share(&provider);
            }
            if products.is_empty() && !previews {
                self.allowed.order(&provider, None, copies_max);
            }
            for product in &products {
                self.allowed.order(&provider, Some(product), copies_max);
            }
        }
    }

    /// An array of tables, `[[key]]`.
    fn tables<'v>(
        &mut self,
        value: &'v Value<'_>,
        key: &str,
    ) -> Vec<(&'v DeTable<'v>, &'v Value<'v>)> {
        let Some(list) = value.get_ref().as_array() else {
            let message = format!("write `[[{key}]]`, in double brackets");
            self.mistake(value.span().start, message);
            return Vec::new();
        };
        let shape = format!("[[{key}]]");
        let tables = list.iter().filter_map(|value| Some((self.table(value, &shape)?, value)));
        tables.collect()
    }

    pub(super) fn money(&mut self, value: &Value<'_>, key: &str) -> Option<Money> {
        let money = self.text(value, key).and_then(|text| {
            let (amount, currency) = text.split_once(' ')?;
            let currency = Currency::try_from(currency.to_owned()).ok()?;
            Some(Money { minor: parse_minor(amount).ok()?, currency })
        });
        if money.is_none() {
            let message = format!("`{key}` is an amount and its currency, such as \"20.00 EUR\"");
            self.mistake(value.span().start, message);
        }
        money
    }

    fn number(&mut self, table: &DeTable<'_>, key: &str, most: i64) -> Option<Option<u32>> {
        let Some(value) = table.get(key) else { return Some(None) };
        let number = value.get_ref().as_integer();
        let number = number.and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        let number = number.filter(|number| (1..=most).contains(number));
        if number.is_none() {
            self.mistake(value.span().start, format!("`{key}` is a whole number from 1 to {most}"));
        }
        number.and_then(|number| u32::try_from(number).ok()).map(Some)
    }

    /// One of two words.
    pub(super) fn choice<'v>(
        &mut self,
        value: &'v Value<'_>,
        key: &str,
        words: [&str; 2],
    ) -> Option<&'v str> {
        let word = self.text(value, key)?;
        if !words.contains(&word) {
            let message = format!("`{key}` cannot be `{word}`{}", hint(word, words));
            self.mistake(value.span().start, message);
            return None;
        }
        Some(word)
    }

    pub(super) fn one_word(&mut self, value: &Value<'_>, key: &str) -> Option<String> {
        self.listed_word(value, key, is_word).map(str::to_owned)
    }

    fn listed_word<'v>(
        &mut self,
        value: &'v Spanned<DeValue<'_>>,
        key: &str,
        is_good: impl Fn(&str) -> bool,
    ) -> Option<&'v str> {
        let text = self.text(value, key)?;
        if !is_good(text) {
            self.mistake(value.span().start, format!("`{text}` cannot stand in `{key}`"));
            return None;
        }
        Some(text)
    }

    /// A list of names with their places; empty where there is none.
    fn words(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        is_good: impl Fn(&str) -> bool,
    ) -> Option<Vec<(String, usize)>> {
        let Some(value) = table.get(key) else { return Some(Vec::new()) };
        let Some(list) = value.get_ref().as_array().filter(|list| !list.is_empty()) else {
            self.mistake(value.span().start, format!("write `{key} = [\"…\", \"…\"]`"));
            return None;
        };
        let words = list.iter().map(|value| {
            let word = self.listed_word(value, key, &is_good)?;
            Some((word.to_owned(), value.span().start))
        });
        words.collect()
    }

    /// The same of names that have to be known.
    fn known_words(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        is_good: impl Fn(&str) -> bool,
        known: Option<&[String]>,
    ) -> Option<Vec<String>> {
        let words = self.words(table, key, is_good)?;
        let one = key.trim_end_matches('s');
        let mut is_right = true;
        for (word, at) in &words {
            if let Some(known) = known
                && !known.contains(word)
            {
                let hint = hint(word, known.iter().map(String::as_str));
                self.mistake(*at, format!("there is no {one} `{word}`{hint}"));
                is_right = false;
            }
        }
        is_right.then(|| plain(words))
    }
}

fn plain(words: Vec<(String, usize)>) -> Vec<String> {
    words.into_iter().map(|(word, _)| word).collect()
}

#[cfg(test)]
#[path = "limits/tests.rs"]
mod tests;
