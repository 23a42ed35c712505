//! Reads the few properties of an XMP packet that concern us, in a photo or beside it.
//!
//! In:  a packet as bytes.
//! Out: words, what file a sidecar is for, what a motion photo's container should hold.
//!
//! The bytes come from strangers. Document types are refused, so there are no entities;
//! and the library compares each attribute with all others of its element, so packets are
//! refused that could make that long.

use roxmltree::{Document, Node, ParsingOptions};

use super::bytes::tidy;
use crate::media::extras::Words;

/// A larger packet is not read. Those of programs that keep masks in them reach a few MiB.
pub(super) const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Nodes in one packet.
const NODES_MAX: u32 = 200_000;

/// Squares of the numbers of attributes of all elements, summed up: what comparing them
/// costs. The most detailed raw settings have some 500 in one element.
const COMPARISONS_MAX: usize = 4_000_000;

/// Declarations of name spaces in one packet; honest ones have up to 60.
const NAMESPACES_MAX: usize = 300;

/// Items of a container; honest ones have two to four.
const ITEMS_MAX: usize = 32;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const DC: &str = "http://purl.org/dc/elements/1.1/";
const PHOTOSHOP: &str = "http://ns.adobe.com/photoshop/1.0/";
const XMP: &str = "http://ns.adobe.com/xap/1.0/";
const CAMERA: &str = "http://ns.google.com/photos/1.0/camera/";
const CONTAINER: &str = "http://ns.google.com/photos/1.0/container/";
const ITEM: &str = "http://ns.google.com/photos/1.0/container/item/";

/// What a packet says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Xmp {
    pub(super) words: Words,
    /// Extension of the file that it is a sidecar of.
    pub(super) sidecar_for: Option<String>,
    /// `MotionPhoto=1`: a film should be there.
    pub(super) is_motion_photo: bool,
    /// The older `MicroVideo=1`: how many bytes before the end the film begins.
    pub(super) micro_video_offset: Option<u64>,
    /// What the file consists of, in its order.
    pub(super) items: Vec<Item>,
}

/// One part of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) media_type: String,
    /// Such as `Primary`, `MotionPhoto`, `GainMap`.
    pub(super) semantic: String,
    pub(super) bytes_count: u64,
    /// Bytes between this part and the next.
    pub(super) padding: u64,
}

/// Reads a packet; `None` when it is none, or one that no honest program writes.
pub(super) fn read(bytes: &[u8]) -> Option<Xmp> {
    if bytes.len() > BYTES_MAX {
        return None;
    }
    let text = decode(bytes)?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}' || c == '\0');
    if is_dear(text.as_bytes()) {
        return None;
    }
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let root = document.descendants().find(|node| node.has_tag_name((RDF, "RDF")))?;
    let packet =
        Packet(root.children().filter(|node| node.has_tag_name((RDF, "Description"))).collect());
    let is_on = |name| packet.number(CAMERA, name) == Some(1);
    let mut words = Words {
        title: packet.text(DC, "title").or_else(|| packet.text(PHOTOSHOP, "Headline")),
        description: packet.text(DC, "description"),
        instructions: packet.text(PHOTOSHOP, "Instructions"),
        rating: packet.text(XMP, "Rating").as_deref().and_then(rating),
        ..Words::default()
    };
    for keyword in packet.list(DC, "subject") {
        words.add_keyword(&keyword);
    }
    Some(Xmp {
        words,
        sidecar_for: packet.text(PHOTOSHOP, "SidecarForExtension"),
        is_motion_photo: is_on("MotionPhoto"),
        micro_video_offset: packet
            .number(CAMERA, "MicroVideoOffset")
            .filter(|_| is_on("MicroVideo")),
        items: packet.items(),
    })
}

/// UTF-8, or UTF-16 as few writers have it.
fn decode(bytes: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let wide = |read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok().map(Into::into)
    };
    match bytes {
        [0xFF, 0xFE, ..] | [b'<', 0, ..] => wide(u16::from_le_bytes),
        [0xFE, 0xFF, ..] | [0, b'<', ..] => wide(u16::from_be_bytes),
        _ => Some(String::from_utf8_lossy(bytes)),
    }
}

/// Whether reading it could take time out of proportion. `<` cannot stand in an
/// attribute, so between two of them are the attributes of one element at most.
fn is_dear(text: &[u8]) -> bool {
    let attributes =
        text.split(|byte| *byte == b'<').map(|tag| memchr::memchr_iter(b'=', tag).count());
    attributes.map(|count| count * count).sum::<usize>() > COMPARISONS_MAX
        || memchr::memmem::find_iter(text, b"xmlns").take(NAMESPACES_MAX + 1).count()
            > NAMESPACES_MAX
}

/// Stars; halves are cut off, and what is out of range is none.
fn rating(text: &str) -> Option<i8> {
    let whole = text.split('.').next().unwrap_or_default();
    whole.parse().ok().filter(|stars| (-1..=5).contains(stars))
}

/// The descriptions of a packet; each property is in one of them, as attribute or element.
struct Packet<'a, 'b>(Vec<Node<'a, 'b>>);

impl<'a, 'b> Packet<'a, 'b> {
    fn element(&self, space: &str, name: &str) -> Option<Node<'a, 'b>> {
        self.0.iter().find_map(|node| child(*node, space, name))
    }

    /// One value: of a list the first, which is the default language.
    fn text(&self, space: &str, name: &str) -> Option<String> {
        let attribute = self.0.iter().find_map(|node| node.attribute((space, name)));
        let element = || {
            let element = self.element(space, name)?;
            let first = list_items(element).next();
            first.unwrap_or(element).text()
        };
        tidy(attribute.or_else(element)?)
    }

    fn number(&self, space: &str, name: &str) -> Option<u64> {
        self.text(space, name)?.parse().ok()
    }

    fn list(&self, space: &str, name: &str) -> Vec<String> {
        let items = self.element(space, name).into_iter().flat_map(list_items);
        items.filter_map(|item| tidy(item.text()?)).collect()
    }

    fn items(&self) -> Vec<Item> {
        let directory = self.element(CONTAINER, "Directory");
        let entries = directory.into_iter().flat_map(list_items);
        entries
            .take(ITEMS_MAX)
            .map(|entry| {
                let item = child(entry, CONTAINER, "Item").unwrap_or(entry);
                let text = |name| {
                    let element = || child(item, ITEM, name)?.text();
                    item.attribute((ITEM, name)).or_else(element).unwrap_or_default().trim()
                };
                let number = |name| text(name).parse().unwrap_or(0);
                Item {
                    media_type: text("Mime").to_owned(),
                    semantic: text("Semantic").to_owned(),
                    bytes_count: number("Length"),
                    padding: number("Padding"),
                }
            })
            .collect()
    }
}

fn child<'a, 'b>(node: Node<'a, 'b>, space: &str, name: &str) -> Option<Node<'a, 'b>> {
    node.children().find(|child| child.has_tag_name((space, name)))
}

/// The entries of a property that is a list of any kind.
fn list_items<'a, 'b>(property: Node<'a, 'b>) -> impl Iterator<Item = Node<'a, 'b>> {
    property
        .children()
        .filter(|list| ["Seq", "Bag", "Alt"].iter().any(|kind| list.has_tag_name((RDF, *kind))))
        .flat_map(|list| list.children())
        .filter(|item| item.has_tag_name((RDF, "li")))
}
