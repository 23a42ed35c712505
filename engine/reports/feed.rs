//! What was fetched, for feed readers: Atom (RFC 4287).
//!
//! In:  what is told to programs, newest first. Out: the document. Whoever has a feed's address reads
//! it, so it says no more than `notice` does.

use std::fmt::Write as _;

use crate::base::clock::Timestamp;
use crate::base::markup::escaped;

/// A feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Names it for good.
    pub id: String,
    /// Whose photos these are.
    pub owner: String,
    /// Where it is found.
    pub url: String,
    /// When it began; its time while it is empty.
    pub since: Timestamp,
    /// What is told.
    pub items: Vec<Item>,
}

/// One thing that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Names it for good.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// A few words.
    pub title: String,
    /// All of it.
    pub text: String,
}

/// The document.
pub fn atom(feed: &Feed) -> String {
    let mut items: Vec<&Item> = feed.items.iter().collect();
    items.sort_by_key(|item| std::cmp::Reverse((item.at, &item.id)));
    let updated = items.first().map_or(feed.since, |item| item.at);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <feed xmlns=\"http://www.w3.org/2005/Atom\">\n\
         <id>{}</id>\n<title>{}</title>\n<updated>{updated}</updated>\n\
         <author><name>Signet</name></author>\n<link rel=\"self\" href=\"{}\"/>\n",
        escaped(&feed.id),
        escaped(&format!("What was fetched from {}", feed.owner)),
        escaped(&feed.url),
    );
    for item in items {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "<entry><id>{}</id><updated>{}</updated><title>{}</title>\
             <content type=\"text\">{}</content></entry>",
            escaped(&item.id),
            item.at,
            escaped(&item.title),
            escaped(&item.text),
        );
    }
    text + "</feed>\n"
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::NOW;
    use super::*;

    #[test]
    fn feed_is_xml_with_the_newest_first_whatever_it_says() {
        let evil = "<script>\"'&]]>\u{1}";
        let item = |number: i64| Item {
            id: format!("urn:signet:{number}"),
            at: NOW.plus_millis(number),
            title: evil.into(),
            text: evil.into(),
        };
        let feed = Feed {
            id: evil.into(),
            owner: evil.into(),
            url: "https://a.example/v1/feed/x".into(),
            since: NOW,
            items: vec![item(1), item(3), item(2)],
        };
        let text = atom(&feed);
        let document = roxmltree::Document::parse(&text).expect("XML");
        let of =
            |name: &'static str| document.descendants().filter(move |node| node.has_tag_name(name));
        let ids: Vec<_> =
            of("entry").map(|entry| entry.first_child().and_then(|id| id.text())).collect();
        assert_eq!(ids, ["urn:signet:3", "urn:signet:2", "urn:signet:1"].map(Some));
        let updated: Vec<_> = of("updated").filter_map(|node| node.text()).collect();
        assert_eq!(updated[0], updated[1], "as new as its newest");
        assert_eq!(of("content").next().and_then(|node| node.text()), Some("<script>\"'&]]> "));
        let empty = atom(&Feed { items: Vec::new(), ..feed });
        assert!(roxmltree::Document::parse(&empty).is_ok());
    }
}
