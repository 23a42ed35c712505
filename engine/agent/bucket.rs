//! Keeps the folder of a hosted collection in step with an object store: S3 or another folder.
//!
//! The usual engine watches the folder, so analysis, grants, log and fees are those of any other
//! collection. Here files only come and go:
//!
//! - `bucket/place`    which store an address means, with which keys
//! - `bucket/wire`     HTTP for it
//! - `bucket/compare`  what is to be fetched and removed; pure
//! - `bucket/record`   what was fetched
//!
//! Nothing is ever written to the store. In the folder, only files that were fetched from it are
//! replaced or removed, and only as long as nobody changed them. A listing that broke off removes
//! nothing; one that is suddenly empty, or lacks much, does not either (`compare`).
//!
//! A file is fetched as `….part` and renamed when it is whole, with the store's time of change.
//!
//! What was in the store when it was looked at first orders nothing by itself: the agent waits for
//! the first complete pass before it begins to watch.

mod compare;
mod place;
mod record;
mod wire;

use std::fs::{File, FileTimes, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::StreamExt;
use object_store::{GetOptions, ObjectStore};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{AgentEvent, Tell};
use crate::base::causes::one_line;
use crate::base::config::Collection;
use crate::base::home::Home;
use compare::{Kept, Object, Plan};
use place::Place;
pub use place::PlaceError;
use record::Record;

/// Files that are fetched at the same time.
const FETCHES_MAX: usize = 4;

/// Objects of one collection; more are not listed.
const OBJECTS_MAX: usize = 5_000_000;

/// How long the store may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The first wait after a pass that failed; doubles up to [`WAIT_MAX`].
const WAIT: Duration = Duration::from_secs(5);

/// The longest wait after a pass that failed.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Files that are fetched before what was fetched is written down.
const NOTED_EVERY: usize = 500;

/// Why a pass did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The store could not be listed.
    #[error("`{store}`: {why}")]
    Listing {
        /// Its address.
        store: String,
        /// In words.
        why: String,
    },
    /// Some files could not be had; the others were.
    #[error("`{store}`: {count} files could not be fetched, `{key}` first: {why}")]
    Files {
        /// Its address.
        store: String,
        /// How many.
        count: usize,
        /// The first of them.
        key: String,
        /// Why.
        why: String,
    },
    /// The folder could not be written.
    #[error("`{}` cannot be written", path.display())]
    Folder {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a pass came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Files that were fetched.
    pub fetched_count: usize,
    /// Files that were removed because the store has them no more.
    pub removed_count: usize,
    /// Files that the store seems not to have any more, which stay until that is sure.
    pub held_count: usize,
}

/// One hosted collection.
pub struct Bucket {
    collection: String,
    folder: PathBuf,
    place: Place,
    look_again: Duration,
    record: Record,
    missed_before: Vec<String>,
    tell: Tell,
}

impl Bucket {
    /// The copy of a collection; `None` when its folder is nobody's copy.
    ///
    /// # Errors
    /// An address that means no store, keys that cannot be read, a folder that cannot be made.
    pub fn of(
        home: &Home,
        collection: &Collection,
        tell: Tell,
    ) -> Result<Option<Self>, PlaceError> {
        let Some(place) = Place::of(home, collection)? else { return Ok(None) };
        let folder = collection.path.clone();
        let cannot = |source| PlaceError::File { path: folder.clone(), source };
        std::fs::create_dir_all(&folder).map_err(cannot)?;
        let path = home.root().join("buckets").join(format!("{}.jsonl", collection.name));
        let record =
            Record::load(path.clone()).map_err(|source| PlaceError::File { path, source })?;
        Ok(Some(Self {
            collection: collection.name.clone(),
            folder: folder.clone(),
            place,
            look_again: Duration::from_secs(60 * u64::from(collection.look_minutes.max(1))),
            record,
            missed_before: Vec::new(),
            tell,
        }))
    }

    /// Brings the folder up to date again and again, until `shutdown` becomes true.
    ///
    /// - `first`: becomes true when the folder was complete once, in this run or before
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>, first: watch::Sender<bool>) {
        let _ = first.send(self.record.is_complete());
        let mut wait = WAIT;
        loop {
            let passed = tokio::select! {
                passed = self.pass() => passed,
                _ = shutdown.wait_for(|stop| *stop) => return,
            };
            let pause = match passed {
                Ok(passed) => {
                    wait = WAIT;
                    let _ = first.send(true);
                    self.say(passed);
                    self.look_again
                }
                Err(error) => {
                    let text = format!(
                        "{}: {}; tried again in {} s",
                        self.collection,
                        one_line(&error),
                        wait.as_secs()
                    );
                    (self.tell)(AgentEvent::Warning { text });
                    let pause = wait;
                    wait = (wait * 2).min(WAIT_MAX);
                    pause
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    fn say(&self, passed: Passed) {
        let Passed { fetched_count, removed_count, held_count } = passed;
        if passed != Passed::default() {
            let collection = self.collection.clone();
            (self.tell)(AgentEvent::Copied {
                collection,
                fetched_count,
                removed_count,
                held_count,
            });
        }
    }

    /// Brings the folder up to date once.
    ///
    /// # Errors
    /// When the store could not be listed to its end, or something could not be fetched; what was
    /// fetched stays.
    pub async fn pass(&mut self) -> Result<Passed, BucketError> {
        let listing = self.listing().await?;
        let folder = self.folder.clone();
        let on_disk = |relative: &str| state_of(&folder.join(relative));
        let Plan { fetch, adopt, remove, missing, foreign } =
            compare::plan(&listing, self.record.files(), &self.missed_before, on_disk);
        for object in foreign {
            let text = format!(
                "{}: `{}` lies in the folder and was not fetched from the store: it stays as it is",
                self.collection, object.relative
            );
            (self.tell)(AgentEvent::Warning { text });
        }
        for object in adopt {
            self.record.keep(object);
        }
        let wanted_count = fetch.len();
        let fetched = self.fetch_all(fetch).await;
        let mut passed = Passed { held_count: missing.len() - remove.len(), ..Passed::default() };
        for relative in &remove {
            self.remove(relative)?;
            passed.removed_count += 1;
        }
        self.missed_before = missing;
        let (fetched_count, failed) = fetched?;
        passed.fetched_count = fetched_count;
        if failed.is_none() {
            self.record.complete();
        }
        self.write_down()?;
        match failed {
            None => Ok(passed),
            Some((key, why)) => Err(BucketError::Files {
                store: self.place.address.clone(),
                count: wanted_count - fetched_count,
                key,
                why,
            }),
        }
    }

    /// All objects; an error unless the listing came to its end.
    async fn listing(&self) -> Result<Vec<Object>, BucketError> {
        let failed = |why: String| BucketError::Listing { store: self.place.address.clone(), why };
        let mut entries = self.place.store.list(Some(&self.place.prefix));
        let mut listing = Vec::new();
        while let Some(entry) = timeout(SILENCE_MAX, entries.next())
            .await
            .map_err(|_silence| failed("it does not answer".into()))?
        {
            let meta = entry.map_err(|error| failed(place::words(&error)))?;
            if let Some(object) = Object::of(&meta, &self.place.prefix) {
                listing.push(object);
            }
            if listing.len() > OBJECTS_MAX {
                return Err(failed(format!("it has more than {OBJECTS_MAX} files")));
            }
        }
        Ok(listing)
    }

    /// Fetches several at a time. How many came, and the first that did not.
    async fn fetch_all(
        &mut self,
        objects: Vec<Object>,
    ) -> Result<(usize, Option<(String, String)>), BucketError> {
        let (mut under_way, mut waiting) = (JoinSet::new(), objects.into_iter());
        let (mut fetched_count, mut failed) = (0, None);
        loop {
            while under_way.len() < FETCHES_MAX {
                let Some(object) = waiting.next() else { break };
                let (store, to) = (self.place.store.clone(), self.folder.join(&object.relative));
                under_way.spawn(async move {
                    let fetched = fetch(&*store, &object, &to).await;
                    (object, fetched)
                });
            }
            let Some(done) = under_way.join_next().await else { break };
            match done {
                Ok((_, Ok(kept))) => {
                    self.record.keep(kept);
                    fetched_count += 1;
                    if fetched_count % NOTED_EVERY == 0 {
                        self.write_down()?;
                        let (collection, removed_count, held_count) =
                            (self.collection.clone(), 0, 0);
                        (self.tell)(AgentEvent::Copied {
                            collection,
                            fetched_count,
                            removed_count,
                            held_count,
                        });
                    }
                }
                Ok((object, Err(why))) => failed = failed.or(Some((object.key.to_string(), why))),
                Err(error) => failed = failed.or(Some((String::new(), error.to_string()))),
            }
        }
        Ok((fetched_count, failed))
    }

    /// Removes a file that the store has no more, if it is still as it was fetched.
    fn remove(&mut self, relative: &str) -> Result<(), BucketError> {
        let path = self.folder.join(relative);
        let kept = self.record.files().get(relative);
        if kept.is_some_and(|kept| state_of(&path) == Some((kept.bytes_count, kept.modified_ms))) {
            std::fs::remove_file(&path).map_err(|source| BucketError::Folder { path, source })?;
        }
        self.record.forget(relative);
        Ok(())
    }

    fn write_down(&mut self) -> Result<(), BucketError> {
        self.record
            .save()
            .map_err(|source| BucketError::Folder { path: self.record.path().to_owned(), source })
    }
}

/// Length and time of change of a file; `None` when it is not there.
fn state_of(path: &Path) -> Option<(u64, i64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((metadata.len(), i64::try_from(since.as_millis()).ok()?))
}

/// Fetches one object to its place.
async fn fetch(store: &dyn ObjectStore, object: &Object, to: &Path) -> Result<Kept, String> {
    // If it was replaced since it was listed, the next pass fetches the new one.
    let options = GetOptions { if_match: object.etag.clone(), ..GetOptions::default() };
    let part = part_of(to);
    let fetched = async {
        let answer = timeout(SILENCE_MAX, store.get_opts(&object.key, options)).await;
        let answer = answer.map_err(|_silence| "it does not answer".to_owned())?;
        let mut bytes = answer.map_err(|error| place::words(&error))?.into_stream();
        let mut file = begin(&part).map_err(|error| error.to_string())?;
        let mut bytes_count = 0;
        while let Some(piece) = timeout(SILENCE_MAX, bytes.next())
            .await
            .map_err(|_silence| "it stopped in the middle".to_owned())?
        {
            let piece = piece.map_err(|error| place::words(&error))?;
            bytes_count += piece.len() as u64;
            file = tokio::task::spawn_blocking(move || file.write_all(&piece).map(|()| file))
                .await
                .map_err(|error| error.to_string())?
                .map_err(|error| error.to_string())?;
        }
        if bytes_count != object.bytes_count {
            return Err(format!("{bytes_count} of {} bytes came", object.bytes_count));
        }
        finish(file, object, to).await.map_err(|error| error.to_string())
    }
    .await;
    if fetched.is_err() {
        // A rest would only be in the way.
        let _ = std::fs::remove_file(&part);
    }
    fetched.map(|()| Kept::of(object))
}

fn begin(part: &Path) -> std::io::Result<File> {
    if let Some(folder) = part.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create(true).truncate(true).open(part)
}

/// Gives a file that is whole its time and its name.
async fn finish(file: File, object: &Object, to: &Path) -> std::io::Result<()> {
    let (to, modified_ms) = (to.to_owned(), u64::try_from(object.modified_ms).unwrap_or(0));
    let done = tokio::task::spawn_blocking(move || {
        let modified = UNIX_EPOCH + Duration::from_millis(modified_ms);
        file.set_times(FileTimes::new().set_modified(modified))?;
        file.sync_all()?;
        std::fs::rename(part_of(&to), &to)
    });
    done.await.map_err(std::io::Error::other)?
}

/// What a file is called until it is whole; the watcher leaves such names alone.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

#[cfg(test)]
#[path = "bucket/tests.rs"]
mod tests;
