//! How one lab's controller wants its folders: data, in a file for each under `dialects/`.
//!
//! A dialect says where photos lie and what they are called (`layout`), the lines of the file that
//! tells the controller what to print (`control`), and how it shows that it took a folder (`follow`).
//! An owner may change any of it in the provider's file, without a new version of this program:
//! `[target.change]` is laid over the dialect, key by key.
//!
//! Knows no orders; [`super::layout`] fills dialects in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::template::Template;
use super::words::NAMES;

/// The dialects that ship.
const SHIPPED: [(&str, &str); 5] = [
    ("dpof", include_str!("dialects/dpof.toml")),
    ("epson", include_str!("dialects/epson.toml")),
    ("fuji", include_str!("dialects/fuji.toml")),
    ("names", include_str!("dialects/names.toml")),
    ("noritsu", include_str!("dialects/noritsu.toml")),
];

/// How one lab's controller wants its folders.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dialect {
    /// Path of each photo below the lab's folder, `/` between folders. What is at and below the
    /// folder whose name holds `%parcel%` is handed over at once; without such a folder each photo
    /// alone is.
    pub(super) layout: Layout,
    /// Media types that the controller takes, and its words for them.
    pub(super) formats: BTreeMap<String, String>,
    /// Placeholders of this dialect's own, which an owner is likely to change.
    #[serde(default)]
    pub(super) words: BTreeMap<String, Template>,
    /// The file that says what to print; absent: names say everything.
    pub(super) control: Option<Control>,
    /// Name of an empty file that is put into the folder last, once all is there.
    pub(super) sentinel: Option<String>,
    /// What can be seen of what becomes of a folder.
    #[serde(default)]
    pub(super) follow: Follow,
    /// What the controller puts for the beginning of a folder's name when it is done with it.
    pub(super) renamed: Option<Renamed>,
}

/// Names of folders, and of a file at the end.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Layout(pub(super) Vec<Template>);

/// The file that tells a controller what to print. Its lines end with CR LF; one in which a
/// placeholder has no value is left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Control {
    /// Its path in the folder that is handed over.
    pub(super) file: String,
    /// Lines at the beginning.
    pub(super) head: Vec<Template>,
    /// Lines for each photo, all of them before `each`.
    #[serde(default)]
    pub(super) list: Vec<Template>,
    /// Lines for each photo.
    pub(super) each: Vec<Template>,
}

/// What can be seen of what becomes of a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Follow {
    /// Nothing: it is done when it was handed over.
    #[default]
    Nothing,
    /// The controller takes the folder away, or renames it.
    Taken,
}

/// How a controller renames a folder that it is done with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Renamed {
    /// How the name begins when it is handed over.
    pub(super) from: String,
    /// How it begins when the controller is done.
    pub(super) to: String,
}

impl Dialect {
    /// Reads a dialect that ships, with an owner's changes, and checks it.
    ///
    /// # Errors
    /// In words: no such dialect, or what of it makes no sense.
    pub(super) fn read(name: &str, change: &BTreeMap<String, Value>) -> Result<Self, String> {
        let shipped = SHIPPED.iter().find(|(known, _)| *known == name);
        let Some((_, text)) = shipped else {
            let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no dialect `{name}`, only {}", names.join(", ")));
        };
        let wrong = |error: &dyn std::fmt::Display| format!("dialect `{name}`: {error}");
        let mut value: Value = toml::from_str(text).map_err(|error| wrong(&error))?;
        let change = change.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        lay_over(&mut value, Value::Object(change));
        let dialect: Self = serde_json::from_value(value).map_err(|error| wrong(&error))?;
        dialect.check().map_err(|error| wrong(&error))?;
        Ok(dialect)
    }

    /// Where a piece is when the controller is done with it, if it says so by a name.
    pub(super) fn renamed_place(&self, place: &Path) -> Option<PathBuf> {
        let Renamed { from, to } = self.renamed.as_ref()?;
        let name = place.file_name()?.to_str()?.strip_prefix(from)?;
        Some(place.with_file_name(format!("{to}{name}")))
    }

    fn check(&self) -> Result<(), String> {
        let layout = &self.layout.0;
        let is_folder = self.layout.folder_parts().is_some();
        if !is_folder && (self.control.is_some() || self.sentinel.is_some()) {
            return Err("its layout needs a folder with `%parcel%` in its name".into());
        }
        let tells_apart =
            |names: &[&str], part: &Template| names.iter().any(|name| part.names_any(name));
        if !layout.last().is_some_and(|part| tells_apart(&["name", "number", "order"], part)) {
            return Err(
                "the last name of its layout needs `%name%`, `%number%` or `%order%`".into()
            );
        }
        if !is_folder && !layout.iter().any(|part| tells_apart(&["name", "order"], part)) {
            return Err("its layout needs `%parcel%`, `%name%` or `%order%`".into());
        }
        let inside = [self.control.as_ref().map(|control| &control.file), self.sentinel.as_ref()];
        for path in inside.into_iter().flatten() {
            if path.split('/').any(|name| matches!(name, "" | "." | "..")) || path.contains('\\') {
                return Err(format!("`{path}` is no path below the folder"));
            }
        }
        let control = self
            .control
            .iter()
            .flat_map(|control| control.head.iter().chain(&control.list).chain(&control.each));
        for word in self.words.values() {
            check_names(word, |name| NAMES.contains(&name))?;
        }
        for template in layout.iter().chain(control) {
            check_names(template, |name| NAMES.contains(&name) || self.words.contains_key(name))?;
        }
        Ok(())
    }
}

impl Layout {
    /// How many parts name the folder that is handed over at once, which is the first with
    /// `%parcel%` in its name; `None` when each photo is handed over by itself.
    pub(super) fn folder_parts(&self) -> Option<usize> {
        let folders = self.0.split_last().map_or(&[][..], |(_, folders)| folders);
        Some(folders.iter().position(|part| part.names_any("parcel"))? + 1)
    }
}

impl TryFrom<String> for Layout {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |part: &str| {
            part.is_empty() || part.starts_with('.') || part.contains(['\\', '"', '*', '?', '|'])
        };
        if let Some(part) = text.split('/').find(|part| wrong(part)) {
            return Err(format!("`{part}` in its layout is no name of a folder or file"));
        }
        let parts = text.split('/').map(|part| Template::try_from(part.to_owned()));
        parts.collect::<Result<_, _>>().map(Self)
    }
}

fn check_names(template: &Template, is_known: impl Fn(&str) -> bool) -> Result<(), String> {
    match template.names().find(|name| !is_known(name) && !name.starts_with("attribute.")) {
        Some(name) => Err(format!("`%{name}%` in `{template}` stands for nothing")),
        None => Ok(()),
    }
}

/// Puts a value over another: tables key by key, anything else whole.
fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                lay_over(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, change: &str) -> Result<Dialect, String> {
        Dialect::read(name, &toml::from_str(change).expect("a table"))
    }

    #[test]
    fn every_dialect_that_ships_can_be_used() {
        for (name, _) in SHIPPED {
            let dialect = read(name, "").expect(name);
            assert!(dialect.formats.contains_key("image/jpeg"), "{name}");
        }
    }

    #[test]
    fn change_touches_what_it_names_and_nothing_else() {
        let dialect =
            read("fuji", "sentinel = \"end.txt\"\n[words]\nresize = \"FITIN\"").expect("a dialect");
        assert_eq!(dialect.sentinel.as_deref(), Some("end.txt"));
        assert_eq!(dialect.words["resize"].to_string(), "FITIN");
        assert_eq!(dialect.words["device"].to_string(), "PICsRGB");
    }

    #[test]
    fn dialect_that_makes_no_sense_is_refused_with_its_mistake() {
        for (name, change, mistake) in [
            ("kodak", "", "no dialect `kodak`"),
            ("noritsu", "colour = true", "unknown field `colour`"),
            ("noritsu", "layout = \"%parcel%/%nmae%\"", "needs `%name%`"),
            ("noritsu", "layout = \"%size%/%name%.%ext%\"", "needs a folder with `%parcel%`"),
            ("noritsu", "layout = \"%parcel%/../%name%\"", "`..` in its layout"),
            ("names", "layout = \"%date%/%number%.jpg\"", "needs `%parcel%`, `%name%`"),
            ("names", "layout = \"/%name%\"", "in its layout"),
            ("fuji", "sentinel = \"../End.txt\"", "`../End.txt` is no path"),
            ("fuji", "[words]\nresize = \"%siez%\"", "`%siez%` in `%siez%` stands for nothing"),
            (
                "fuji",
                "[words]\nresize = \"%device%\"",
                "`%device%` in `%device%` stands for nothing",
            ),
            ("dpof", "[control]\neach = [\"100%\"]", "`%%` for a percent sign"),
        ] {
            let error = read(name, change).expect_err(change);
            assert!(error.contains(mistake), "{change}: {error}");
        }
    }
}
