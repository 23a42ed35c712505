//! A hub in one file, and back: configuration, keys and database as a tar archive.
//!
//! The database is copied as it is at one moment, while the hub may run. Encrypted copies that wait
//! for providers are not in it: their agents leave them again. Nor is a certificate that lies
//! elsewhere.
//!
//! Restoring never overwrites a hub, and takes no archive whose database has a mistake. Only names
//! that a backup has are unpacked.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::home::HubHome;
use crate::base::files::sync_folder;
use crate::base::home::make_private_dir;
use crate::store::StoreError;
use crate::store::hub::SqliteHub;

const BLOCK: usize = 512;

/// Longest name inside an archive.
const NAME_MAX: usize = 100;

/// Largest file that the size field of a header can name.
const FILE_BYTES_MAX: u64 = 0o77_777_777_777;

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file could not be read or written.
    #[error("`{}` cannot be used", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database could not be copied or read.
    #[error("the database of the hub")]
    Store(#[from] StoreError),
    /// There is a hub already.
    #[error("`{}` is there already: a restore overwrites nothing; name an empty folder with --home", path.display())]
    There {
        /// The file in the way.
        path: PathBuf,
    },
    /// Not a backup, or one that was damaged.
    #[error("`{}` is no backup of a hub: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Writes everything that a hub is into a new file, readable for its owner only.
///
/// # Errors
/// When `to` is there, or something cannot be read or written; then nothing is left.
pub fn backup(home: &HubHome, to: &Path) -> Result<(), BackupError> {
    if to.exists() {
        return Err(BackupError::There { path: to.to_owned() });
    }
    let (part, copy) = (beside(to, ".part"), beside(to, ".sqlite.part"));
    let written = SqliteHub::open(&home.store_path())
        .and_then(|store| store.backup(&copy))
        .map_err(BackupError::from)
        .and_then(|()| pack(home, &copy, &part))
        .and_then(|()| std::fs::rename(&part, to).map_err(cannot(to)));
    let _ = std::fs::remove_file(&copy);
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_folder(folder.unwrap_or(Path::new("."))).map_err(cannot(to))
}

/// Makes a hub from a backup, in a home that has none.
///
/// # Errors
/// When there is a hub already, or the backup is damaged; then nothing was restored.
pub fn restore(home: &HubHome, from: &Path) -> Result<(), BackupError> {
    for path in [home.config_path(), home.store_path(), home.keys_dir().join("hub.key")] {
        if path.exists() {
            return Err(BackupError::There { path });
        }
    }
    let unpacked = home.root().join("restore.part");
    let restored = unpack(from, &unpacked).and_then(|()| {
        let inside = HubHome::at(&unpacked);
        let damaged = |why: String| BackupError::Damaged { path: from.to_owned(), why };
        for path in [inside.config_path(), inside.keys_dir().join("hub.key")] {
            if !path.exists() {
                let name = path.file_name().unwrap_or_default().display().to_string();
                return Err(damaged(format!("{name} is missing")));
            }
        }
        if let Some(mistake) = SqliteHub::check(&inside.store_path())?.first() {
            return Err(damaged(mistake.clone()));
        }
        for folder in [home.keys_dir(), home.staged_dir(), home.hosted_dir()] {
            make_private_dir(&folder).map_err(cannot(&folder))?;
        }
        let keys = names(&inside.keys_dir())?;
        for key in keys {
            let to = home.keys_dir().join(&key);
            std::fs::rename(inside.keys_dir().join(&key), &to).map_err(cannot(&to))?;
        }
        let to = home.store_path();
        std::fs::rename(inside.store_path(), &to).map_err(cannot(&to))?;
        // Last: a folder without it is no hub.
        let to = home.config_path();
        std::fs::rename(inside.config_path(), &to).map_err(cannot(&to))?;
        sync_folder(home.root()).map_err(cannot(&to))
    });
    let _ = std::fs::remove_dir_all(&unpacked);
    restored
}

fn pack(home: &HubHome, database: &Path, to: &Path) -> Result<(), BackupError> {
    let mut archive = create(to)?;
    let config = ("hub.toml".to_owned(), home.config_path());
    let keys = names(&home.keys_dir())?;
    let keys = keys.into_iter().map(|name| {
        let path = home.keys_dir().join(&name);
        (format!("keys/{name}"), path)
    });
    let database = ("hub.sqlite".to_owned(), database.to_owned());
    for (name, path) in [config].into_iter().chain(keys).chain([database]) {
        let mut file = File::open(&path).map_err(cannot(&path))?;
        let bytes_count = file.metadata().map_err(cannot(&path))?.len();
        let head = head(&name, bytes_count).ok_or_else(|| BackupError::File {
            path: path.clone(),
            source: io::Error::from(io::ErrorKind::FileTooLarge),
        })?;
        let written = archive
            .write_all(&head)
            .and_then(|()| io::copy(&mut (&mut file).take(bytes_count), &mut archive))
            .and_then(|count| match count == bytes_count {
                true => archive.write_all(padding(bytes_count)),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            });
        written.map_err(cannot(&path))?;
    }
    let ended = archive.write_all(&[0; 2 * BLOCK]).and_then(|()| archive.sync_all());
    ended.map_err(cannot(to))
}

fn unpack(from: &Path, to: &Path) -> Result<(), BackupError> {
    let damaged = |why: &str| BackupError::Damaged { path: from.to_owned(), why: why.to_owned() };
    let mut archive = File::open(from).map_err(cannot(from))?;
    make_private_dir(to).map_err(cannot(to))?;
    make_private_dir(&to.join("keys")).map_err(cannot(to))?;
    loop {
        let mut block = [0; BLOCK];
        archive.read_exact(&mut block).map_err(|_short| damaged("it ends early"))?;
        if block == [0; BLOCK] {
            return Ok(());
        }
        let (name, bytes_count) = read_head(&block).ok_or_else(|| damaged("a header is wrong"))?;
        let is_ours = match name.split_once('/') {
            None => matches!(name.as_str(), "hub.toml" | "hub.sqlite"),
            Some((folder, key)) => folder == "keys" && is_key_name(key),
        };
        if !is_ours {
            return Err(damaged(&format!("it has a file `{name}`")));
        }
        let path = to.join(&name);
        let mut file = create(&path)?;
        let copied = io::copy(&mut (&mut archive).take(bytes_count), &mut file);
        if copied.map_err(cannot(&path))? != bytes_count {
            return Err(damaged("it ends early"));
        }
        file.sync_all().map_err(cannot(&path))?;
        let rest = padding(bytes_count).len() as u64;
        io::copy(&mut (&mut archive).take(rest), &mut io::sink()).map_err(cannot(from))?;
    }
}

/// Files of the folder with the keys.
fn names(folder: &Path) -> Result<Vec<String>, BackupError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot(folder))? {
        let name = entry.map_err(cannot(folder))?.file_name();
        names.extend(name.to_str().filter(|name| is_key_name(name)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn is_key_name(name: &str) -> bool {
    let is_plain =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.chars().all(is_plain)
}

/// A header as POSIX.1-1988 has it (ustar).
fn head(name: &str, bytes_count: u64) -> Option<[u8; BLOCK]> {
    if name.len() >= NAME_MAX || bytes_count > FILE_BYTES_MAX {
        return None;
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &str| {
        for (byte, letter) in block.iter_mut().skip(at).zip(text.bytes()) {
            *byte = letter;
        }
    };
    put(0, name);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{bytes_count:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\u{0}00");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    for (byte, letter) in block.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *byte = letter;
    }
    Some(block)
}

/// Name and length, if a header is one that [`head`] makes.
fn read_head(block: &[u8; BLOCK]) -> Option<(String, u64)> {
    let name = block.get(..NAME_MAX)?.split(|byte| *byte == 0).next()?;
    let size = std::str::from_utf8(block.get(124..135)?).ok()?;
    let (name, bytes_count) =
        (std::str::from_utf8(name).ok()?.to_owned(), u64::from_str_radix(size, 8).ok()?);
    (head(&name, bytes_count)? == *block).then_some((name, bytes_count))
}

/// What fills the last block of a file.
fn padding(bytes_count: u64) -> &'static [u8] {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let over = usize::try_from(bytes_count % BLOCK as u64).unwrap_or(0);
    if over == 0 { &[] } else { ZEROS.get(over..).unwrap_or_default() }
}

fn create(path: &Path) -> Result<File, BackupError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path).map_err(cannot(path))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn cannot(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::home::template;
    use crate::store::hub::HubStore;

    fn hub(folder: &Path) -> HubHome {
        let home = HubHome::at(folder.join("hub"));
        home.create(&template("a", "127.0.0.1:0", None)).expect("made");
        home.key().expect("a key");
        SqliteHub::open(&home.store_path()).expect("opens");
        home
    }

    #[test]
    fn hub_comes_back_as_it_was_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let (home, file) = (hub(folder.path()), folder.path().join("backup.tar"));
        let key = home.key().expect("a key").public();
        let store = SqliteHub::open(&home.store_path()).expect("opens");
        let actions = store.actions(10).expect("read");
        backup(&home, &file).expect("written, while it is in use");
        assert!(matches!(backup(&home, &file), Err(BackupError::There { .. })));
        assert!(matches!(restore(&home, &file), Err(BackupError::There { .. })));
        let again = HubHome::at(folder.path().join("again"));
        restore(&again, &file).expect("restored");
        assert_eq!(again.key().expect("a key").public(), key);
        assert_eq!(again.config().expect("read").name, "a");
        let restored = SqliteHub::open(&again.store_path()).expect("opens");
        assert_eq!(restored.actions(10).expect("read"), actions);
        assert!(restored.audit().expect("looked").is_empty());
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).expect("read").flatten().collect();
        left.sort_by_key(std::fs::DirEntry::file_name);
        assert_eq!(left.len(), 3, "two hubs and a file: {left:?}");
    }

    #[test]
    fn damaged_backup_restores_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (home, file) = (hub(folder.path()), folder.path().join("backup.tar"));
        backup(&home, &file).expect("written");
        let whole = std::fs::read(&file).expect("read");
        let broken = folder.path().join("broken.tar");
        let check = |bytes: &[u8]| {
            std::fs::write(&broken, bytes).expect("written");
            let again = HubHome::at(folder.path().join("again"));
            assert!(restore(&again, &broken).is_err());
            assert!(again.config().is_err() && !again.store_path().exists());
        };
        check(b"");
        check(&whole[..whole.len() / 2]);
        check(&whole[..BLOCK]);
        let mut named = whole.clone();
        named[..11].copy_from_slice(b"../evil.txt");
        check(&named);
        // A page of the database.
        let at = whole.windows(6).position(|six| six == b"SQLite").expect("it is in there");
        let mut page = whole.clone();
        page[at..at + 4096].fill(7);
        check(&page);
    }
}
