//! Reads what a rule wants: `order`, `share`, `keep`, `note` or `forbid`, exactly one of them.

use std::ops::Range;

use toml::de::DeTable;

use super::{
    COPIES_MAX, Copies, FALLBACK_MAX, ORDER_KEYS, PLAN_KEYS, Plan, Reader, SHARE_KEYS, Value,
    article, copies_within,
};
use crate::base::member::Member;
use crate::preview::{LONG_SIDE_PX, PreviewFormat, PreviewWish};
use crate::rules::eval::{Condition, Kind, Names};
use crate::rules::source::{Author, hint};

impl Reader<'_> {
    pub(super) fn plan(
        &mut self,
        table: &DeTable<'_>,
        span: &Range<usize>,
        names: &Names<'_>,
    ) -> Option<Plan> {
        let present: Vec<(&str, &Value<'_>)> = PLAN_KEYS
            .into_iter()
            .filter_map(|key| table.get(key).map(|value| (key, value)))
            .collect();
        let plans: Vec<Option<Plan>> = present
            .iter()
            .map(|(key, value)| match *key {
                "order" => self.order(value, names),
                "share" => self.share(value, names),
                // Its words are read with the reasons.
                "note" => Some(Plan::Note),
                "keep" => self.flag(value, "keep", Plan::Keep),
                _ => self.flag(value, "forbid", Plan::Forbid),
            })
            .collect();
        match (present.as_slice(), plans.into_iter().next()) {
            ([_], Some(plan)) => plan,
            ([(first, _), (second, value), ..], _) => {
                let message =
                    format!("a rule has `{first}` or `{second}`, not both: make two rules");
                self.mistake(value.span().start, message);
                None
            }
            _ => self.missing(span, "what it wants: `order`, `share`, `keep`, `note` or `forbid`"),
        }
    }

    fn order(&mut self, value: &Value<'_>, names: &Names<'_>) -> Option<Plan> {
        let table = self.table(value, "order = { product = \"mug\", provider = \"lab\" }")?;
        self.only(table, &ORDER_KEYS, "`order`");
        let known = self.known;
        let product = self.known_word(table, value, ("product", known.products.as_deref()), names);
        let provider =
            self.known_word(table, value, ("provider", known.providers.as_deref()), names);
        let to = self.optional(table, "to", Kind::Text, names);
        let express = self.optional(table, "express", Kind::Truth, names);
        let with = self.with(table);
        let price_max = match table.get("price_max") {
            Some(value) => self.money(value, "price_max").map(Some),
            None => Some(None),
        };
        let remove_icon =
            table.get("remove_icon").is_some_and(|value| self.is_true(value, "remove_icon"));
        let (provider, product) = (provider?, product?);
        let or = self.fallback(table, &provider)?;
        let mut copies_max = COPIES_MAX;
        for provider in std::iter::once(&provider).chain(&or).filter(|_| self.is_bound) {
            let Some(most) = self.allowed.copies_max(provider, &product) else {
                let message =
                    format!("the operator's files allow no `{product}` from `{provider}`");
                self.mistake(value.span().start, message);
                return None;
            };
            copies_max = copies_max.min(most);
        }
        let copies = match table.get("copies") {
            Some(copies) => self.copies(copies, copies_max, names),
            None => Some(Copies::Fixed(1)),
        };
        if self.by == Author::Operator {
            let most = match &copies {
                Some(Copies::Fixed(copies)) => *copies,
                _ => COPIES_MAX,
            };
            for provider in std::iter::once(&provider).chain(&or) {
                self.allowed.order(provider, Some(&product), most);
            }
        }
        Some(Plan::Order {
            provider,
            product,
            copies: copies?,
            to: to?,
            express: express?,
            with: with?,
            or,
            price_max: price_max?,
            remove_icon,
        })
    }

    /// Providers to go on to: one name or a list; `None` where one is wrong.
    fn fallback(&mut self, table: &DeTable<'_>, provider: &str) -> Option<Vec<String>> {
        let Some(value) = table.get("or") else { return Some(Vec::new()) };
        let values = match value.get_ref().as_array() {
            Some(list) => list.iter().collect(),
            None => vec![value],
        };
        if values.is_empty() || values.len() > FALLBACK_MAX {
            let message =
                format!("write `or = \"lab-2\"`, or a list of 1 to {FALLBACK_MAX} providers");
            self.mistake(value.span().start, message);
            return None;
        }
        let known = self.known.providers.as_deref();
        let mut others: Vec<String> = Vec::new();
        for value in values {
            let other = self.one_word(value, "or")?;
            let message = if other == provider || others.contains(&other) {
                format!("`{other}` is asked before already")
            } else if let Some(known) = known
                && !known.contains(&other)
            {
                let hint = hint(&other, known.iter().map(String::as_str));
                format!("there is no provider `{other}`{hint}")
            } else {
                others.push(other);
                continue;
            };
            self.mistake(value.span().start, message);
            return None;
        }
        Some(others)
    }

    /// Companions that go with the photo, each once; `None` where one is no companion.
    fn with(&mut self, table: &DeTable<'_>) -> Option<Vec<Member>> {
        let Some(value) = table.get("with") else { return Some(Vec::new()) };
        let Some(list) = value.get_ref().as_array() else {
            let kind = article(value.get_ref().type_str());
            let message = format!("write `with = [\"voice-memo\", \"motion\"]`, this is {kind}");
            self.mistake(value.span().start, message);
            return None;
        };
        let companions = || Member::ALL.into_iter().filter(|member| member.is_companion());
        let mut with = Vec::new();
        for value in list.iter() {
            let word = self.text(value, "with")?;
            let Some(member) = companions().find(|member| member.as_str() == word) else {
                let hint = hint(word, companions().map(Member::as_str));
                self.mistake(value.span().start, format!("`{word}` is no companion{hint}"));
                return None;
            };
            with.push(member);
        }
        with.sort_unstable();
        with.dedup();
        Some(with)
    }

    /// A condition that may be left out; `None` where it is there and wrong.
    fn optional(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        wanted: Kind,
        names: &Names<'_>,
    ) -> Option<Option<Condition>> {
        match table.get(key) {
            Some(value) => self.condition(value, key, wanted, names).map(Some),
            None => Some(None),
        }
    }

    fn copies(&mut self, value: &Value<'_>, most: u32, names: &Names<'_>) -> Option<Copies> {
        if let Some(number) = value.get_ref().as_integer() {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
            let copies = number.and_then(|number| copies_within(number, most));
            if copies.is_none() {
                let why =
                    if most < COPIES_MAX { "; the operator's files allow no more" } else { "" };
                let message = format!("`copies` is from 1 to {most}{why}");
                self.mistake(value.span().start, message);
            }
            return copies.map(Copies::Fixed);
        }
        if !value.get_ref().is_str() {
            let kind = value.get_ref().type_str();
            let message = format!(
                "`copies` is a number or a condition that gives one, this is {}",
                article(kind)
            );
            self.mistake(value.span().start, message);
            return None;
        }
        let condition = self.condition(value, "copies", Kind::Whole, names)?;
        Some(Copies::Computed(Box::new(condition), most))
    }

    fn share(&mut self, value: &Value<'_>, names: &Names<'_>) -> Option<Plan> {
        let shape = "share = { provider, to, preview_px, preview_format, with }";
        let table = self.table(value, shape)?;
        self.only(table, &SHARE_KEYS, "`share`");
        let known = self.known;
        let provider =
            self.known_word(table, value, ("provider", known.providers.as_deref()), names);
        let to = self.optional(table, "to", Kind::Text, names);
        let preview = self.preview(table);
        let with = self.with(table);
        let provider = provider?;
        if self.by == Author::Operator {
            self.allowed.share(&provider);
        }
        if self.is_bound && !self.allowed.may_share(&provider) {
            let message = format!("the operator's files allow no previews for `{provider}`");
            self.mistake(value.span().start, message);
            return None;
        }
        Some(Plan::Share { provider, to: to?, preview: preview?, with: with? })
    }

    /// Size and format of the preview; what is left out is the provider's to say.
    fn preview(&mut self, table: &DeTable<'_>) -> Option<PreviewWish> {
        let (mut wish, mut is_right) = (PreviewWish::default(), true);
        if let Some(value) = table.get("preview_px") {
            let number = value.get_ref().as_integer();
            let number = number.and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
            wish.long_side_px = number.filter(|side| LONG_SIDE_PX.contains(side));
            if wish.long_side_px.is_none() {
                let (least, most) = (LONG_SIDE_PX.start(), LONG_SIDE_PX.end());
                let message = format!(
                    "`preview_px` is the long side in pixels, from {least} to {most}; order a \
                     product for the original"
                );
                self.mistake(value.span().start, message);
                is_right = false;
            }
        }
        if let Some(value) = table.get("preview_format") {
            match self.text(value, "preview_format").map(str::parse::<PreviewFormat>) {
                Some(Ok(format)) => wish.format = Some(format),
                Some(Err(message)) => {
                    self.mistake(value.span().start, message);
                    is_right = false;
                }
                None => is_right = false,
            }
        }
        is_right.then_some(wish)
    }

    fn flag(&mut self, value: &Value<'_>, key: &str, plan: Plan) -> Option<Plan> {
        self.is_true(value, key).then_some(plan)
    }
}
