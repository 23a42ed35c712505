//! Texts of others inside HTML and XML: they are read as they are and never become markup.

/// A text as it is read, in HTML, XML and their attributes. What XML cannot hold at all becomes a
/// space.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The same for HTML, set apart so that it cannot turn the words around it.
pub fn set_apart(text: &str) -> String {
    format!("<bdi>{}</bdi>", escaped(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_neither_begins_a_tag_nor_ends_an_attribute() {
        assert_eq!(escaped("<a b='\"'>&\n\u{FFFF}"), "&lt;a b=&#39;&quot;&#39;&gt;&amp;  ");
        assert_eq!(set_apart("\u{202E}</bdi>"), "<bdi>\u{202E}&lt;/bdi&gt;</bdi>");
    }
}
