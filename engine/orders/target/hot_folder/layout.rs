//! From a parcel to the pieces that a dialect makes of it: which photo lies where, and what the
//! control file says. A plain function; nothing is written here.
//!
//! Orders whose folder has the same name share it: with `%channel%` in it there is one folder for
//! each channel, as Noritsu wants.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::dialect::{Control, Dialect};
use super::template::Template;
use super::words::{Photo, Use};
use crate::orders::parcel::Parcel;
use crate::orders::target::Setback;
use crate::orders::target::handover::{Content, Entry, Piece};

/// Most copies of one photo, and most photos of one folder: DPOF has three digits for both.
const COUNT_MAX: u32 = 999;

/// Longest name of a file or folder.
const NAME_CHARS_MAX: usize = 120;

/// Names that Windows keeps for itself, whatever follows a dot.
const RESERVED: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];

/// Photos that are handed over together, by the names of their folder.
struct Folder<'a> {
    names: Vec<String>,
    photos: Vec<Photo<'a>>,
}

/// What is to be handed over, in this order.
///
/// # Errors
/// [`Setback::refused`]: what the dialect cannot carry, with the cure.
pub(super) fn pieces<'a>(
    dialect: &'a Dialect,
    parcel: &'a Parcel,
) -> Result<Vec<Piece<'a>>, Setback> {
    let mut pieces = Vec::new();
    let Some(depth) = dialect.layout.folder_parts() else {
        for photo in photos(dialect, parcel)? {
            let place = names(dialect, &dialect.layout.0, &photo)?.into_iter().collect();
            pieces.push(Piece { place, entries: vec![entry(PathBuf::new(), &photo)] });
        }
        return Ok(pieces);
    };
    for folder in folders(dialect, depth, parcel)? {
        let place: PathBuf = folder.names.iter().collect();
        let mut entries: Vec<Entry<'_>> =
            folder.photos.iter().map(|photo| entry(PathBuf::from(&photo.inside), photo)).collect();
        if let Some(control) = &dialect.control {
            let content = Content::Text(control_text(dialect, control, &folder)?);
            entries.push(Entry { path: PathBuf::from(&control.file), content });
        }
        let paths: BTreeSet<String> =
            entries.iter().map(|entry| entry.path.to_string_lossy().to_lowercase()).collect();
        if paths.len() != entries.len() {
            return Err(Setback::refused(format!(
                "two files in `{}` would have the same name: the layout needs `%name%` or `%number%`",
                place.display()
            )));
        }
        let sentinel = dialect.sentinel.as_ref().map(|name| Piece {
            place: place.join(name),
            entries: vec![Entry { path: PathBuf::new(), content: Content::Text(String::new()) }],
        });
        pieces.push(Piece { place, entries });
        pieces.extend(sentinel);
    }
    Ok(pieces)
}

/// The photos of a parcel, numbered through.
fn photos<'a>(dialect: &'a Dialect, parcel: &'a Parcel) -> Result<Vec<Photo<'a>>, Setback> {
    let count = parcel.lines.len();
    let photo = |(index, line): (usize, &'a crate::orders::parcel::Line)| {
        let Some(member) = line.members.first() else {
            return Err(Setback::refused(format!("order `{}` has no photo", line.order_key)));
        };
        let Some(format) = dialect.formats.get(&member.media_type) else {
            let known: Vec<&str> = dialect.formats.keys().map(String::as_str).collect();
            return Err(Setback::refused(format!(
                "`{}` is {}, and this folder takes {} only",
                member.name.escape_debug(),
                member.media_type.escape_debug(),
                known.join(" and ")
            )));
        };
        if line.copies > COUNT_MAX {
            let copies = line.copies;
            return Err(Setback::refused(format!("{copies} copies are more than {COUNT_MAX}")));
        }
        let (file, inside, source) = (String::new(), String::new(), String::new());
        Ok(Photo { parcel, line, member, format, number: index + 1, count, file, inside, source })
    };
    parcel.lines.iter().enumerate().map(photo).collect()
}

/// Puts photos into their folders and gives each its name there.
fn folders<'a>(
    dialect: &'a Dialect,
    depth: usize,
    parcel: &'a Parcel,
) -> Result<Vec<Folder<'a>>, Setback> {
    let (above, below) = dialect.layout.0.split_at(depth);
    let mut folders: Vec<Folder<'a>> = Vec::new();
    for photo in photos(dialect, parcel)? {
        let names = names(dialect, above, &photo)?;
        match folders.iter_mut().find(|folder| folder.names == names) {
            Some(folder) => folder.photos.push(photo),
            None => folders.push(Folder { names, photos: vec![photo] }),
        }
    }
    let control_depth =
        dialect.control.as_ref().map_or(0, |control| control.file.matches('/').count());
    for folder in &mut folders {
        let count = folder.photos.len();
        if count > COUNT_MAX as usize {
            return Err(Setback::refused(format!("{count} photos are more than {COUNT_MAX}")));
        }
        for (index, photo) in folder.photos.iter_mut().enumerate() {
            (photo.number, photo.count) = (index + 1, count);
            let names = names(dialect, below, photo)?;
            photo.file = names.last().cloned().unwrap_or_default();
            photo.inside = names.join("/");
            photo.source = "../".repeat(control_depth) + &photo.inside;
        }
    }
    Ok(folders)
}

/// Names of folders, and of the file at the end, for one photo.
fn names(dialect: &Dialect, parts: &[Template], photo: &Photo<'_>) -> Result<Vec<String>, Setback> {
    let name = |part: &Template| {
        let name = photo.render(part, &dialect.words, Use::Path)?.map(|name| file_name(&name));
        name.ok_or_else(|| {
            let product = photo.line.product.as_ref().map_or("", |(name, _)| name);
            Setback::refused(format!(
                "product `{product}` lacks something that names its folder, `{part}`: give it \
                 `size_mm`, `finish` or what else is missing"
            ))
        })
    };
    parts.iter().map(name).collect()
}

/// The lines of a control file.
fn control_text(
    dialect: &Dialect,
    control: &Control,
    folder: &Folder<'_>,
) -> Result<String, Setback> {
    let lines = |templates: &[Template], photo: &Photo<'_>| {
        let mut text = String::new();
        for template in templates {
            if let Some(line) = photo.render(template, &dialect.words, Use::Line)? {
                text.push_str(&line);
                text.push_str("\r\n");
            }
        }
        Ok::<_, Setback>(text)
    };
    let mut head: Option<String> = None;
    let (mut list, mut each) = (String::new(), String::new());
    for photo in &folder.photos {
        let said = lines(&control.head, photo)?;
        if head.get_or_insert_with(|| said.clone()) != &said {
            return Err(Setback::refused(format!(
                "orders in `{}` differ in what its control file says once for all: the layout \
                 needs a folder for each, such as `%parcel%_%code%`",
                folder.names.join("/")
            )));
        }
        list.push_str(&lines(&control.list, photo)?);
        each.push_str(&lines(&control.each, photo)?);
    }
    Ok(head.unwrap_or_default() + &list + &each)
}

fn entry<'a>(path: PathBuf, photo: &Photo<'a>) -> Entry<'a> {
    let content = Content::Member { order_key: &photo.line.order_key, member: photo.member };
    Entry { path, content }
}

/// A name that every system takes as that of a file.
fn file_name(name: &str) -> String {
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    let name = name.trim_end_matches(['.', ' ']);
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let is_port = stem.len() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT"));
    let is_odd = stem.is_empty() || is_port || RESERVED.contains(&stem.as_str());
    if is_odd { format!("_{name}") } else { name.to_owned() }
}
