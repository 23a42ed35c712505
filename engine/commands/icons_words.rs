//! What the icons say to people: their groups in reading order, one plain line for each, a
//! picture letter for a phone's sticker list, and finding icons by the names a user typed.
//!
//! What an icon does is in the rules; these lines are for the house's own rules
//! (`rules/family.toml`). An owner's icon says its meaning and that the owner's rules decide.

use super::CommandError;
use crate::detection::IconSet;
use crate::detection::icon_set::Icon;
use crate::rules::source::nearest;

/// A kind of icon, in the order in which people read the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// What comes of the photo.
    Products,
    /// How many of it.
    Copies,
    /// Who gets it.
    Addressees,
    /// Everything else that ships.
    Others,
    /// The owner's own.
    Own,
}

impl Group {
    /// The group of an icon.
    pub(super) fn of(icon: &Icon) -> Self {
        house(icon.name()).map_or(Self::Own, |(_, group, _, _)| *group)
    }

    /// For `--json`.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Products => "product",
            Self::Copies => "copies",
            Self::Addressees => "addressee",
            Self::Others => "other",
            Self::Own => "own",
        }
    }

    /// As a heading.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Products => "What you get",
            Self::Copies => "How many",
            Self::Addressees => "For whom",
            Self::Others => "And also",
            Self::Own => "Your own",
        }
    }

    /// Behind the heading: how icons of this group are used.
    pub(super) const fn explanation(self) -> &'static str {
        match self {
            Self::Products => "One of these orders the photo as that product.",
            Self::Copies => "Beside a product. Without one you get one.",
            Self::Addressees => "Beside a product. Without one it comes to you.",
            Self::Others => "On their own, or beside a product.",
            Self::Own => "What they do stands in your rules.",
        }
    }

    /// Its colour on paper, red, green, blue in `0.0..=1.0`; none is near the icons' ink.
    pub(super) const fn colour(self) -> [f32; 3] {
        match self {
            Self::Products => [0.12, 0.43, 0.70],
            Self::Copies => [0.10, 0.52, 0.36],
            Self::Addressees => [0.80, 0.42, 0.05],
            Self::Others => [0.55, 0.27, 0.62],
            Self::Own => [0.78, 0.22, 0.35],
        }
    }
}

/// What the owner has to know about one icon, in one line.
pub(super) fn instruction(icon: &Icon) -> String {
    house(icon.name()).map_or_else(
        || "Show it in the photo. What it does stands in your rules.".to_owned(),
        |(_, _, line, _)| (*line).to_owned(),
    )
}

/// A letter that messengers ask for with each sticker.
pub(super) fn emoji(icon: &Icon) -> &'static str {
    house(icon.name()).map_or("\u{2b50}", |(_, _, _, emoji)| *emoji)
}

/// The icons of these names, in this order.
///
/// # Errors
/// The first name that no icon has, with the nearest that one has.
pub(super) fn chosen<'a>(
    names: &[String],
    set: &'a IconSet,
) -> Result<Vec<&'a Icon>, CommandError> {
    let find = |name: &String| {
        let name = name.trim();
        set.get(name).ok_or_else(|| {
            let near = nearest(name, set.icons().iter().map(Icon::name));
            CommandError::Usage(near.map_or_else(
                || format!("there is no icon `{name}`: `signet icons list` shows those there are"),
                |near| format!("there is no icon `{name}`: did you mean `{near}`?"),
            ))
        })
    };
    names.iter().map(find).collect()
}

type Words = (&'static str, Group, &'static str, &'static str);

fn house(name: &str) -> Option<&'static Words> {
    HOUSE.iter().find(|words| words.0 == name)
}

/// Name, group, line, emoji.
const HOUSE: [Words; 24] = [
    ("print-10x15", Group::Products, "Show it in the photo: one print, 10 by 15 cm.", "🖼️"),
    ("print-13x18", Group::Products, "Show it in the photo: one print, 13 by 18 cm.", "🖼️"),
    ("print-20x30", Group::Products, "Show it in the photo: one large print, 20 by 30 cm.", "🖼️"),
    ("square", Group::Products, "Show it in the photo: one square print.", "⬛"),
    ("panorama", Group::Products, "Show it in the photo: one wide print.", "🏞️"),
    ("canvas", Group::Products, "Show it in the photo: it comes printed on canvas.", "🎨"),
    ("poster", Group::Products, "Show it in the photo: it comes as a poster.", "📜"),
    ("postcard", Group::Products, "Show it in the photo: it comes as a postcard.", "✉️"),
    ("photobook", Group::Products, "Show it in the photo: a photo book with it.", "📖"),
    ("calendar", Group::Products, "Show it in the photo: a calendar with it.", "📅"),
    ("mug", Group::Products, "Show it in the photo: a mug with it.", "☕"),
    ("puzzle", Group::Products, "Show it in the photo: a puzzle made of it.", "🧩"),
    ("copies-2", Group::Copies, "Show it beside a product: two of it.", "2️⃣"),
    ("copies-3", Group::Copies, "Show it beside a product: three of it.", "3️⃣"),
    ("copies-5", Group::Copies, "Show it beside a product: five of it.", "5️⃣"),
    ("copies-10", Group::Copies, "Show it beside a product: ten of it.", "🔟"),
    ("to-a", Group::Addressees, "Show it beside a product: it goes to address A.", "📍"),
    ("to-b", Group::Addressees, "Show it beside a product: it goes to address B.", "🏠"),
    ("to-c", Group::Addressees, "Show it beside a product: it goes to address C.", "🏷️"),
    ("share", Group::Others, "Show it in the photo: a small copy is shared.", "🔗"),
    ("express", Group::Others, "Show it beside a product: please be quick.", "⚡"),
    (
        "keep-private-copy",
        Group::Others,
        "Show it in the photo: your computer keeps a second copy for you alone.",
        "🔒",
    ),
    (
        "do-not-share",
        Group::Others,
        "Show it in the photo: it stays at home, whatever else is on it.",
        "⛔",
    ),
    ("end", Group::Others, "Photograph it: a series that a card photo began ends here.", "🏁"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_house_icon_has_its_words_in_the_order_of_the_set() {
        let set = IconSet::house().expect("the built-in icons");
        let names: Vec<_> = set.icons().iter().map(Icon::name).collect();
        assert_eq!(HOUSE.map(|words| words.0).to_vec(), names);
        let groups: Vec<_> = set.icons().iter().map(Group::of).collect();
        assert!(groups.is_sorted() && !groups.contains(&Group::Own), "{groups:?}");
    }

    #[test]
    fn unknown_name_is_refused_with_the_nearest() {
        let set = IconSet::house().expect("the built-in icons");
        for (name, expected) in [
            ("canvsa", "did you mean `canvas`?"),
            ("copies-4", "did you mean `copies-"),
            ("gibberish", "`signet icons list`"),
        ] {
            let error = chosen(&["share".into(), name.into()], &set).expect_err("refused");
            let text = error.to_string();
            assert!(text.contains(expected) && text.contains(name), "{text}");
        }
        let found = chosen(&[" mug ".into(), "end".into()], &set).expect("both are there");
        assert_eq!(found.iter().map(|icon| icon.name()).collect::<Vec<_>>(), ["mug", "end"]);
    }
}
