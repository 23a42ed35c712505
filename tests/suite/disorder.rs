//! Does random things to folders of files and keeps account of what must be there.
//!
//! In:  folders, a seed, a way to make the bytes of a version.
//! Out: a disk in disorder, and the files that anyone who watches has to know in the end.
//!
//! The same seed does the same. Knows nothing of who watches.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{CWD, RenameFlags};

/// More files or folders than this are not made; then others go first.
const FILES_MAX: usize = 800;
const FOLDERS_MAX: usize = 60;

/// A slow writer is done after at most this many further operations.
const WRITERS_MAX: usize = 4;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A photo's version, by its number.
    Photo(u64),
    /// Nothing: not one byte.
    Empty,
    /// A companion; what is in it does not matter.
    Companion,
}

/// A file under all its names.
#[derive(Debug)]
struct Node {
    content: Content,
    /// It was written through one of several names; nobody tells of the others.
    was_edited_behind: bool,
}

/// A file that somebody takes a long time to write.
struct Writer {
    path: PathBuf,
    file: File,
    rest: Vec<u8>,
    version: u64,
}

/// The disorder.
pub(crate) struct Disorder {
    base: PathBuf,
    roots: Vec<PathBuf>,
    state: u64,
    nodes: Vec<Node>,
    /// Paths below `base`.
    files: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
    writers: Vec<Writer>,
    bytes_of: Box<dyn Fn(u64) -> Vec<u8>>,
    /// One version in so many is new; others are copies.
    news_one_in: u64,
    versions_count: u64,
    names_count: u64,
}

impl Disorder {
    /// - `roots`: names of the folders in `base` in which to make it
    /// - `bytes_of`: the bytes of a version; all of one length class, never empty
    pub(crate) fn new(
        base: &Path,
        roots: &[&str],
        seed: u64,
        news_one_in: u64,
        bytes_of: impl Fn(u64) -> Vec<u8> + 'static,
    ) -> Self {
        let roots: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
        for root in &roots {
            fs::create_dir_all(base.join(root)).expect("a root");
        }
        Self {
            base: base.to_path_buf(),
            folders: roots.iter().cloned().collect(),
            roots,
            state: seed,
            nodes: Vec::new(),
            files: BTreeMap::new(),
            writers: Vec::new(),
            bytes_of: Box::new(bytes_of),
            news_one_in,
            versions_count: 0,
            names_count: 0,
        }
    }

    /// What must be known in the end: path below the base, content, and whether it was
    /// written through another name.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Path, Content, bool)> {
        self.files.iter().map(|(path, node)| {
            let node = &self.nodes[*node];
            (path.as_path(), node.content, node.was_edited_behind)
        })
    }

    /// Versions that were ever whole on the disk.
    pub(crate) const fn versions_count(&self) -> u64 {
        self.versions_count
    }

    /// SplitMix64.
    fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % limit
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// Does one thing.
    pub(crate) fn step(&mut self) {
        if self.writers.len() >= WRITERS_MAX || (self.below(20) == 0 && !self.writers.is_empty()) {
            self.finish_writer();
        }
        if self.files.len() >= FILES_MAX || self.folders.len() >= FOLDERS_MAX {
            self.remove_folder();
        }
        match self.below(100) {
            0..15 => self.create(),
            15..20 => self.create_slowly(),
            20..28 => self.edit_in_place(),
            28..36 => self.save_beside(),
            36..50 => self.rename_file(),
            50..54 => self.exchange(),
            54..58 => self.link(),
            58..68 => self.remove_file(),
            68..72 => self.make_folder(),
            72..75 => self.move_folder(),
            75 => self.remove_folder(),
            76..79 => self.replace_by_folder(),
            79..84 => self.set_time(),
            84..87 => self.edit_and_keep_time(),
            87..90 => self.download(),
            90..96 => self.write_companion(),
            96 => self.write_nothing(),
            _ => self.clutter(),
        }
    }

    /// Ends what is half done.
    pub(crate) fn finish(&mut self) {
        while !self.writers.is_empty() {
            self.finish_writer();
        }
    }

    // Picking

    fn new_version(&mut self) -> u64 {
        if self.versions_count > 0 && self.below(self.news_one_in) > 0 {
            return self.below(self.versions_count);
        }
        self.versions_count += 1;
        self.versions_count - 1
    }

    fn any_folder(&mut self) -> PathBuf {
        let at = self.below(self.folders.len() as u64);
        let at = usize::try_from(at).expect("small");
        self.folders.iter().nth(at).expect("one of them").clone()
    }

    fn any_folder_below_roots(&mut self) -> Option<PathBuf> {
        let folder = self.any_folder();
        (!self.roots.contains(&folder)).then_some(folder)
    }

    fn any_file(&mut self) -> Option<PathBuf> {
        let at = self.below(self.files.len().max(1) as u64);
        self.files.keys().nth(usize::try_from(at).expect("small")).cloned()
    }

    fn any_photo(&mut self) -> Option<PathBuf> {
        let path = self.any_file()?;
        (self.content(&path) != Content::Companion).then_some(path)
    }

    fn content(&self, path: &Path) -> Content {
        self.nodes[self.files[path]].content
    }

    /// A name that may be taken, and may be odd.
    fn name(&mut self, extension: &str) -> OsString {
        self.names_count += 1;
        // Few enough to meet again.
        let number = self.below(200);
        let stem: Vec<u8> = match self.below(12) {
            0 => format!("-dash {number}").into_bytes(),
            1 => format!("line\nbreak{number}").into_bytes(),
            2 => format!("\u{202e}rtl{number}").into_bytes(),
            3 => [b"not \xff utf-8 ".as_slice(), number.to_string().as_bytes()].concat(),
            4 => format!("{number:0>250}").into_bytes(),
            5 => format!("CASE{number}").into_bytes(),
            6 => format!("case{number}").into_bytes(),
            _ => format!("IMG_{number}").into_bytes(),
        };
        OsStr::from_bytes(&[stem.as_slice(), b".", extension.as_bytes()].concat()).to_os_string()
    }

    /// A path at which a file may be put; no folder and no writer is there.
    fn free_path(&mut self, extension: &str) -> PathBuf {
        loop {
            let path = self.any_folder().join(self.name(extension));
            let is_written = self.writers.iter().any(|writer| writer.path == path);
            if !is_written && !self.folders.contains(&path) {
                return path;
            }
        }
    }

    fn photo_path(&mut self) -> PathBuf {
        let extension = ["jpg", "JPG", "jpeg"][usize::try_from(self.below(3)).expect("small")];
        self.free_path(extension)
    }

    fn put(&mut self, path: PathBuf, content: Content) {
        self.nodes.push(Node { content, was_edited_behind: false });
        self.files.insert(path, self.nodes.len() - 1);
    }

    fn finish_writers_below(&mut self, folder: &Path) {
        while let Some(at) = self.writers.iter().position(|w| w.path.starts_with(folder)) {
            self.writers.swap(0, at);
            self.finish_writer();
        }
    }

    // Files

    fn create(&mut self) {
        let (path, version) = (self.photo_path(), self.new_version());
        // A new file, even where one was: a program that deletes and writes.
        if self.files.contains_key(&path) {
            fs::remove_file(self.at(&path)).expect("deletes");
        }
        fs::write(self.at(&path), (self.bytes_of)(version)).expect("writes");
        self.put(path, Content::Photo(version));
    }

    fn create_slowly(&mut self) {
        let (path, version) = (self.photo_path(), self.new_version());
        if self.files.remove(&path).is_some() {
            fs::remove_file(self.at(&path)).expect("deletes");
        }
        let mut bytes = (self.bytes_of)(version);
        let rest = bytes.split_off(bytes.len() / 2);
        let mut file = File::create(self.at(&path)).expect("a file");
        file.write_all(&bytes).expect("writes");
        self.writers.push(Writer { path, file, rest, version });
    }

    fn finish_writer(&mut self) {
        if self.writers.is_empty() {
            return;
        }
        let mut writer = self.writers.remove(0);
        writer.file.write_all(&writer.rest).expect("writes");
        drop(writer.file);
        self.put(writer.path, Content::Photo(writer.version));
    }

    fn edit_in_place(&mut self) {
        let Some(path) = self.any_photo() else { return };
        let version = self.new_version();
        fs::write(self.at(&path), (self.bytes_of)(version)).expect("writes");
        self.edited(&path, Content::Photo(version));
    }

    fn edited(&mut self, path: &Path, content: Content) {
        let node = self.files[path];
        let names_count = self.files.values().filter(|other| **other == node).count();
        self.nodes[node].content = content;
        self.nodes[node].was_edited_behind |= names_count > 1;
    }

    /// Same size, same times as before, other bytes.
    fn edit_and_keep_time(&mut self) {
        let Some(path) = self.any_photo() else { return };
        let at = self.at(&path);
        let modified = fs::metadata(&at).expect("is there").modified().expect("a time");
        let version = self.new_version();
        let mut file = fs::OpenOptions::new().write(true).open(&at).expect("opens");
        let bytes = (self.bytes_of)(version);
        file.write_all(&bytes).expect("writes");
        file.set_len(bytes.len() as u64).expect("cuts");
        file.set_modified(modified).expect("sets its time");
        drop(file);
        self.edited(&path, Content::Photo(version));
    }

    /// As editors save: write beside, rename over.
    fn save_beside(&mut self) {
        let Some(path) = self.any_photo() else { return };
        let version = self.new_version();
        let beside = match self.below(3) {
            0 => ".goutputstream-X1",
            1 => "saved.jpg.tmp",
            _ => "saved.~tmp~",
        };
        let beside = self.at(path.parent().expect("a folder")).join(beside);
        fs::write(&beside, (self.bytes_of)(version)).expect("writes");
        fs::rename(&beside, self.at(&path)).expect("renames");
        self.put(path, Content::Photo(version));
    }

    fn download(&mut self) {
        let (path, version) = (self.photo_path(), self.new_version());
        let mut beside = self.at(&path).into_os_string();
        // Of the longest names there is no longer one.
        if path.file_name().expect("a name").len() > 240 {
            return;
        }
        beside.push(".crdownload");
        fs::write(&beside, (self.bytes_of)(version)).expect("writes");
        fs::rename(&beside, self.at(&path)).expect("renames");
        self.put(path, Content::Photo(version));
    }

    fn rename_file(&mut self) {
        let Some(from) = self.any_photo() else { return };
        let to = match self.below(6) {
            // Only the case of its name.
            0 => {
                let name = from.file_name().expect("a name").as_bytes();
                let name: Vec<u8> = name.iter().map(u8::to_ascii_uppercase).collect();
                from.with_file_name(OsStr::from_bytes(&name))
            }
            _ => self.photo_path(),
        };
        let is_taken = self.folders.contains(&to) || self.writers.iter().any(|w| w.path == to);
        if from == to || is_taken {
            return;
        }
        let (from_node, to_node) = (self.files[&from], self.files.get(&to).copied());
        fs::rename(self.at(&from), self.at(&to)).expect("renames");
        // Two names of one file: the system does nothing at all then.
        if to_node != Some(from_node) {
            self.files.remove(&from);
            self.files.insert(to, from_node);
        }
    }

    fn exchange(&mut self) {
        let (Some(one), Some(other)) = (self.any_photo(), self.any_photo()) else { return };
        if one == other {
            return;
        }
        let (from, to) = (self.at(&one), self.at(&other));
        rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE).expect("exchanges");
        let (one_node, other_node) = (self.files[&one], self.files[&other]);
        self.files.insert(one, other_node);
        self.files.insert(other, one_node);
    }

    fn link(&mut self) {
        let Some(from) = self.any_photo() else { return };
        let to = self.photo_path();
        if self.files.contains_key(&to) {
            return;
        }
        fs::hard_link(self.at(&from), self.at(&to)).expect("links");
        self.files.insert(to, self.files[&from]);
    }

    fn remove_file(&mut self) {
        let Some(path) = self.any_file() else { return };
        fs::remove_file(self.at(&path)).expect("deletes");
        self.files.remove(&path);
    }

    fn set_time(&mut self) {
        let Some(path) = self.any_photo() else { return };
        let time = match self.below(3) {
            0 => UNIX_EPOCH,
            1 => UNIX_EPOCH + Duration::from_secs(4_000_000_000),
            _ => UNIX_EPOCH + Duration::from_secs(1_000_000_000 + self.below(1000)),
        };
        let file = fs::OpenOptions::new().write(true).open(self.at(&path)).expect("opens");
        file.set_modified(time).expect("sets its time");
        drop(file);
        self.edited(&path, self.content(&path));
    }

    fn write_companion(&mut self) {
        let path = self.free_path("wav");
        fs::write(self.at(&path), b"RIFF").expect("writes");
        match self.files.contains_key(&path) {
            true => self.edited(&path, Content::Companion),
            false => self.put(path, Content::Companion),
        }
    }

    fn write_nothing(&mut self) {
        let path = self.photo_path();
        fs::write(self.at(&path), b"").expect("writes");
        match self.files.contains_key(&path) {
            true => self.edited(&path, Content::Empty),
            false => self.put(path, Content::Empty),
        }
    }

    /// What is no matter of anyone who watches.
    fn clutter(&mut self) {
        let folder = self.any_folder();
        let at = self.at(&folder);
        match self.below(4) {
            0 => fs::write(at.join("notes.txt"), b"x").expect("writes"),
            1 => {
                fs::create_dir_all(at.join(".thumbnails")).expect("a folder");
                fs::write(at.join(".thumbnails/a.jpg"), b"x").expect("writes");
            }
            2 => {
                let link = at.join("loop");
                if link.symlink_metadata().is_err() {
                    std::os::unix::fs::symlink(&self.base, link).expect("a link");
                }
            }
            _ => {
                let link = at.join("link.png");
                if link.symlink_metadata().is_err() {
                    std::os::unix::fs::symlink("IMG_1.jpg", link).expect("a link");
                }
            }
        }
    }

    // Folders

    fn make_folder(&mut self) {
        self.names_count += 1;
        let folder = self.any_folder().join(format!("folder {}", self.below(30)));
        if folder.components().count() > 8 || self.folders.contains(&folder) {
            return;
        }
        fs::create_dir(self.at(&folder)).expect("a folder");
        self.folders.insert(folder.clone());
        // Files at once: nobody watches the folder yet.
        for _ in 0..self.below(4) {
            let version = self.new_version();
            let path = folder.join(format!("IMG_{version}.jpg"));
            fs::write(self.at(&path), (self.bytes_of)(version)).expect("writes");
            self.put(path, Content::Photo(version));
        }
    }

    fn move_folder(&mut self) {
        let Some(from) = self.any_folder_below_roots() else { return };
        self.names_count += 1;
        let to = self.any_folder().join(format!("moved {}", self.names_count));
        if to.starts_with(&from) || to.components().count() > 8 {
            return;
        }
        self.finish_writers_below(&from);
        fs::rename(self.at(&from), self.at(&to)).expect("moves");
        let moved = |path: &Path| to.join(path.strip_prefix(&from).expect("below"));
        let files: Vec<_> = self.files.extract_if(.., |path, _| path.starts_with(&from)).collect();
        self.files.extend(files.into_iter().map(|(path, node)| (moved(&path), node)));
        let folders: Vec<_> = self.folders.extract_if(.., |path| path.starts_with(&from)).collect();
        self.folders.extend(folders.into_iter().map(|path| match path == from {
            true => to.clone(),
            false => moved(&path),
        }));
    }

    fn remove_folder(&mut self) {
        let Some(folder) = self.any_folder_below_roots() else { return };
        self.finish_writers_below(&folder);
        fs::remove_dir_all(self.at(&folder)).expect("deletes");
        self.files.retain(|path, _| !path.starts_with(&folder));
        self.folders.retain(|path| !path.starts_with(&folder));
    }

    /// A file becomes a folder of the same name, or one that did becomes a file again.
    fn replace_by_folder(&mut self) {
        let is_odd = |path: &&PathBuf| path.extension().is_some_and(|e| e == "jpg");
        if let Some(folder) = self.folders.iter().find(is_odd).cloned() {
            self.finish_writers_below(&folder);
            fs::remove_dir_all(self.at(&folder)).expect("deletes");
            self.files.retain(|path, _| !path.starts_with(&folder));
            self.folders.retain(|path| !path.starts_with(&folder));
            let version = self.new_version();
            fs::write(self.at(&folder), (self.bytes_of)(version)).expect("writes");
            self.put(folder, Content::Photo(version));
            return;
        }
        let Some(path) = self.any_photo().filter(|path| is_odd(&path)) else { return };
        fs::remove_file(self.at(&path)).expect("deletes");
        self.files.remove(&path);
        fs::create_dir(self.at(&path)).expect("a folder");
        let version = self.new_version();
        let inner = path.join("inner.jpg");
        fs::write(self.at(&inner), (self.bytes_of)(version)).expect("writes");
        self.put(inner, Content::Photo(version));
        self.folders.insert(path);
    }
}
