//! Texts with placeholders, of which dialects are made: `o%parcel%_%channel%`, `PRT QTY = %copies:3%`.
//!
//! `%copies%` stands for a value, `%copies:3%` for it with zeros in front up to three characters,
//! `%EXT%` for the value of `ext` in capitals, and `%%` for a percent sign. A value that is absent
//! or empty makes the whole text absent: whoever renders it decides what that means.
//!
//! Knows no names of placeholders; who renders says what they stand for.

use std::fmt;

use serde::Deserialize;

/// Widest a value is filled up to.
const WIDTH_MAX: usize = 12;

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Plain(String),
    Value { name: String, width: usize, is_upper: bool },
}

impl Template {
    /// The text with its values, or `None` when one of them is absent or empty.
    ///
    /// # Errors
    /// What `value` reports.
    pub(super) fn render<E>(
        &self,
        mut value: impl FnMut(&str) -> Result<Option<String>, E>,
    ) -> Result<Option<String>, E> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Plain(plain) => text.push_str(plain),
                Part::Value { name, width, is_upper } => {
                    let Some(value) = value(name)?.filter(|value| !value.is_empty()) else {
                        return Ok(None);
                    };
                    let value = if *is_upper { value.to_uppercase() } else { value };
                    let count = value.chars().count();
                    text.extend(std::iter::repeat_n('0', width.saturating_sub(count)));
                    text.push_str(&value);
                }
            }
        }
        Ok(Some(text))
    }

    /// Names of its placeholders.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Value { name, .. } => Some(name.as_str()),
            Part::Plain(_) => None,
        })
    }

    /// Whether it has a placeholder.
    pub(super) fn names_any(&self, name: &str) -> bool {
        self.names().any(|other| other == name)
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        // Every other piece is between two percent signs.
        let pieces: Vec<&str> = text.split('%').collect();
        if pieces.len().is_multiple_of(2) {
            return Err(format!(
                "`{text}` has a `%` without another: write `%%` for a percent sign"
            ));
        }
        for (index, piece) in pieces.into_iter().enumerate() {
            parts.push(match (index % 2, piece) {
                (0, plain) => Part::Plain(plain.to_owned()),
                (_, "") => Part::Plain("%".to_owned()),
                (_, placeholder) => value_of(placeholder).ok_or_else(|| {
                    format!("`%{placeholder}%` in `{text}` is no placeholder such as `%copies:3%`")
                })?,
            });
        }
        parts.retain(|part| *part != Part::Plain(String::new()));
        Ok(Self(parts))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Plain(plain) => f.write_str(&plain.replace('%', "%%")),
            Part::Value { name, .. } => write!(f, "%{name}%"),
        })
    }
}

fn value_of(placeholder: &str) -> Option<Part> {
    let (name, width) = match placeholder.split_once(':') {
        Some((name, width)) => (name, width.parse().ok().filter(|width| *width <= WIDTH_MAX)?),
        None => (placeholder, 0),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    let is_upper = !name.contains(|c: char| c.is_ascii_lowercase());
    Some(Part::Value { name: name.to_ascii_lowercase(), width, is_upper })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(text: &str) -> Option<String> {
        let template = Template::try_from(text.to_owned()).expect("a template");
        let value = |name: &str| match name {
            "copies" => Ok(Some("7".to_owned())),
            "ext" => Ok(Some("jpg".to_owned())),
            "empty" => Ok(Some(String::new())),
            "none" => Ok(None),
            other => Err(other.to_owned()),
        };
        template.render(value).expect("known names")
    }

    #[test]
    fn values_are_filled_up_and_put_in_capitals() {
        for (text, wanted) in [
            ("QTY = %copies:3%", Some("QTY = 007")),
            ("a.%EXT%", Some("a.JPG")),
            ("%copies%%ext%", Some("7jpg")),
            ("100%%", Some("100%")),
            ("", Some("")),
            ("a%empty%", None),
            ("a%none%", None),
        ] {
            assert_eq!(render(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn text_that_is_no_template_is_refused_with_its_place() {
        for text in ["100%", "%a b%", "%copies:x%", "%copies:99%", "%:3%", "%a%b%"] {
            let error = Template::try_from(text.to_owned()).expect_err(text);
            assert!(error.contains(text), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_template_or_refused(text in "[%a-z:0-9 ]{0,20}") {
            let _either = Template::try_from(text);
        }
    }
}
