//! Listens to the file system. The only place that knows `notify`.
//!
//! In:  a root, the folders below it, how many of them may be watched.
//! Out: notices about paths below it; that events were lost; that watching is not enough.
//!
//! Asked for are changes and ends of writing, not openings and ends of reading: a program
//! that reads a hundred thousand photos would else fill the queue with its own events.
//!
//! On Linux each folder is watched by itself, so that ignored ones cost nothing and the
//! most recent ones can be chosen when there are too many. `notify` stops watching a folder
//! that is renamed or deleted, with all below it; whoever hears of a new name watches again.
//!
//! A queue that overflowed has swallowed news of folders as well. After that only a new
//! watch of everything helps.
//!
//! Events of network and user-space file systems tell only what this computer did, so such
//! roots are scanned often as well.

use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{
    Config, ErrorKind, EventKind, EventKindMask, PathOp, RecommendedWatcher, RecursiveMode,
    WatchPathConfig, Watcher,
};

use super::coalesce::Hint;

/// Whether a watch covers one folder or all below it, too.
const IS_PER_FOLDER: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// One thing that the file system said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// Something happened to a path below the root.
    Path {
        relative: PathBuf,
        hint: Hint,
        /// It may be a folder with files in it.
        may_be_folder: bool,
    },
    /// Something happened to the root itself.
    Root,
    /// Events were lost.
    Lost,
    /// The system's limit of watched folders is reached.
    Limit,
    /// Our own file was written: events do come.
    Canary,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    root: PathBuf,
    /// Folders that may still be watched.
    room: u64,
}

/// A folder that is to be watched, and when something in it last came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) relative: PathBuf,
    pub(super) modified_ns: i64,
}

/// Not all folders are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Watch {
    /// Begins to listen; `tell` is called on a thread of its own and must not block. Folders
    /// are added one by one.
    ///
    /// - `canary`: a file of our own on the same disk; it need not be there
    /// - `room`: folders that may be watched
    pub(super) fn begin(
        root: &Path,
        canary: Option<&Path>,
        room: u64,
        tell: impl Fn(Notice) + Send + 'static,
    ) -> Result<Self, String> {
        let config = Config::default()
            .with_follow_symlinks(false)
            .with_event_kinds(EventKindMask::CORE | EventKindMask::ACCESS_CLOSE);
        let places = Places { root: root.to_path_buf(), canary: canary.map(Path::to_path_buf) };
        let handler = move |event: notify::Result<notify::Event>| translate(&places, event, &tell);
        let in_words = |error: notify::Error| error.to_string();
        let mut watcher = RecommendedWatcher::new(handler, config).map_err(in_words)?;
        if !IS_PER_FOLDER {
            watcher.watch(root, RecursiveMode::Recursive).map_err(in_words)?;
        }
        if let Some(folder) = canary.and_then(Path::parent)
            && let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive)
        {
            // It will not be heard, and the right conclusion is drawn from that.
            tracing::debug!(%error, "a canary is not watched");
        }
        Ok(Self { watcher, root: root.to_path_buf(), room })
    }

    /// Watches folders; when there are too many, those in which something happened last.
    pub(super) fn add_all(&mut self, mut folders: Vec<Folder>) -> Result<(), Full> {
        if !IS_PER_FOLDER {
            return Ok(());
        }
        let room = usize::try_from(self.room).unwrap_or(usize::MAX);
        let is_full = folders.len() > room;
        if is_full {
            folders.sort_unstable_by_key(|folder| std::cmp::Reverse(folder.modified_ns));
            folders.truncate(room);
        }
        self.room -= folders.len() as u64;
        let mut wishes: Vec<PathOp> =
            folders.into_iter().map(|folder| self.wish(&folder.relative)).collect();
        while !wishes.is_empty() {
            let Err(error) = self.watcher.update_paths(wishes) else { break };
            if is_limit(&error.source) {
                return Err(Full);
            }
            // A folder that went away meanwhile, or that may not be read, is passed over.
            tracing::debug!(error = %error.source, "a folder is not watched");
            wishes = error.remaining;
        }
        if is_full { Err(Full) } else { Ok(()) }
    }

    /// Watches one more folder.
    pub(super) fn add(&mut self, relative: &Path) -> Result<(), Full> {
        if !IS_PER_FOLDER {
            return Ok(());
        }
        let Some(room) = self.room.checked_sub(1) else { return Err(Full) };
        match self.watcher.update_paths(vec![self.wish(relative)]) {
            Ok(()) => self.room = room,
            Err(error) if is_limit(&error.source) => return Err(Full),
            Err(error) => tracing::debug!(error = %error.source, "a folder is not watched"),
        }
        Ok(())
    }

    /// Says anew how many folders may be watched in addition.
    pub(super) const fn set_room(&mut self, room: u64) {
        self.room = room;
    }

    /// Whether no further folder may be watched.
    pub(super) const fn is_full(&self) -> bool {
        self.room == 0
    }

    fn wish(&self, relative: &Path) -> PathOp {
        let config = WatchPathConfig::new(RecursiveMode::NonRecursive);
        // The root may be reached through a link; what lies below it may not.
        let is_root = relative.as_os_str().is_empty();
        let path = if is_root { self.root.clone() } else { self.root.join(relative) };
        PathOp::Watch(path, config.with_dereference_symlinks(is_root))
    }
}

fn is_limit(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        // What inotify says when no further watcher is allowed for this user.
        ErrorKind::Io(error) => {
            matches!(
                error.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        }
        _ => false,
    }
}

/// Where events come from.
#[derive(Debug)]
struct Places {
    root: PathBuf,
    canary: Option<PathBuf>,
}

/// Says in our words what an event means.
fn translate(places: &Places, event: notify::Result<notify::Event>, tell: &impl Fn(Notice)) {
    let event = match event {
        Ok(event) => event,
        Err(error) => return tell(if is_limit(&error) { Notice::Limit } else { Notice::Lost }),
    };
    // Before looking at paths: such an event may have none, or name a folder.
    if event.need_rescan() {
        return tell(Notice::Lost);
    }
    let (hint, may_be_folder) = match event.kind {
        EventKind::Create(CreateKind::Folder) => (Hint::Complete, true),
        EventKind::Create(CreateKind::File) => (Hint::Written, false),
        EventKind::Create(_) => (Hint::Written, true),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => (Hint::Complete, false),
        EventKind::Modify(ModifyKind::Data(_)) => (Hint::Written, false),
        EventKind::Modify(ModifyKind::Metadata(_)) => (Hint::Touched, false),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => (Hint::Gone, true),
        // Where a rename is told as one event, the first path is gone and the second is
        // there; looking at them finds out.
        EventKind::Modify(_) | EventKind::Any => (Hint::Complete, true),
        EventKind::Remove(RemoveKind::File) => (Hint::Gone, false),
        EventKind::Remove(_) => (Hint::Gone, true),
        EventKind::Access(_) | EventKind::Other => return,
    };
    for path in event.paths {
        if places.canary.as_ref() == Some(&path) {
            tell(Notice::Canary);
            continue;
        }
        match path.strip_prefix(&places.root) {
            Ok(relative) if relative.as_os_str().is_empty() => {
                if matches!(hint, Hint::Gone | Hint::Complete) {
                    tell(Notice::Root);
                }
            }
            Ok(relative) => {
                tell(Notice::Path { relative: relative.to_path_buf(), hint, may_be_folder })
            }
            Err(_outside) => {}
        }
    }
}

/// Whether events of this root tell only half of what happens to it.
#[cfg(target_os = "linux")]
pub(super) fn is_remote(root: &Path) -> bool {
    // From linux/magic.h: NFS, SMB, SMB2, CIFS, 9P, FUSE, Ceph, AFS, Coda.
    const REMOTE: [rustix::fs::FsWord; 9] = [
        0x6969,
        0x517B,
        0xFE53_4D42,
        0xFF53_4D42,
        0x0102_1997,
        0x6573_5546,
        0x00C3_6400,
        0x5346_414F,
        0x7375_7245,
    ];
    rustix::fs::statfs(root).is_ok_and(|answer| REMOTE.contains(&answer.f_type))
}

/// Whether events of this root tell only half of what happens to it.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_remote(_root: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use notify::event::{DataChange, Flag, MetadataKind};

    use super::*;

    fn places() -> Places {
        Places { root: "/r".into(), canary: Some("/home/watch/canary-0".into()) }
    }

    fn check(event: notify::Event, wanted: &[Notice]) {
        let told = RefCell::new(Vec::new());
        translate(&places(), Ok(event), &|notice| told.borrow_mut().push(notice));
        assert_eq!(told.into_inner(), wanted);
    }

    fn path(relative: &str, hint: Hint, may_be_folder: bool) -> Notice {
        Notice::Path { relative: relative.into(), hint, may_be_folder }
    }

    #[test]
    fn events_are_put_into_our_words() {
        let event =
            |kind, name: &str| notify::Event::new(kind).add_path(Path::new("/r").join(name));
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        check(event(closed, "a/b.jpg"), &[path("a/b.jpg", Hint::Complete, false)]);
        let read = EventKind::Access(AccessKind::Close(AccessMode::Read));
        check(event(read, "a.jpg"), &[]);
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        check(event(data, "a.jpg"), &[path("a.jpg", Hint::Written, false)]);
        let times = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        check(event(times, "a.jpg"), &[path("a.jpg", Hint::Touched, false)]);
        check(
            event(EventKind::Create(CreateKind::Folder), "a"),
            &[path("a", Hint::Complete, true)],
        );
        check(
            event(EventKind::Remove(RemoveKind::File), "a.jpg"),
            &[path("a.jpg", Hint::Gone, false)],
        );
        let both = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        check(
            event(both, "a.jpg").add_path("/r/b.jpg".into()),
            &[path("a.jpg", Hint::Complete, true), path("b.jpg", Hint::Complete, true)],
        );
    }

    #[test]
    fn root_and_what_lies_outside_are_told_apart() {
        check(
            notify::Event::new(EventKind::Remove(RemoveKind::Other)).add_path("/r".into()),
            &[Notice::Root],
        );
        check(
            notify::Event::new(EventKind::Remove(RemoveKind::File)).add_path("/other/a.jpg".into()),
            &[],
        );
        check(
            notify::Event::new(EventKind::Create(CreateKind::File))
                .add_path("/home/watch/canary-0".into()),
            &[Notice::Canary],
        );
    }

    #[test]
    fn lost_events_are_told_with_and_without_a_path() {
        let lost = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
        check(lost.clone(), &[Notice::Lost]);
        check(lost.add_path("/r/a".into()), &[Notice::Lost]);
    }

    #[test]
    fn limit_of_watches_is_told_from_other_failures() {
        let told = RefCell::new(Vec::new());
        let tell = |notice| told.borrow_mut().push(notice);
        translate(&places(), Err(notify::Error::new(ErrorKind::MaxFilesWatch)), &tell);
        translate(&places(), Err(notify::Error::generic("else")), &tell);
        assert_eq!(told.into_inner(), [Notice::Limit, Notice::Lost]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn folders_that_changed_last_are_watched_when_not_all_can_be() {
        let root = tempfile::tempdir().expect("a folder");
        let (sender, notices) = std::sync::mpsc::channel();
        let tell = move |notice| {
            // The test is over when nobody listens.
            let _nobody = sender.send(notice);
        };
        let mut watch = Watch::begin(root.path(), None, 2, tell).expect("begins");
        let folders = [("old", 1), ("new", 3), ("newer", 4)].map(|(name, modified_ns)| {
            std::fs::create_dir(root.path().join(name)).expect("a folder");
            Folder { relative: name.into(), modified_ns }
        });
        assert_eq!(watch.add_all(folders.to_vec()), Err(Full));
        assert!(watch.is_full());
        assert_eq!(watch.add(Path::new("old")), Err(Full));
        for name in ["old", "new", "newer"] {
            std::fs::write(root.path().join(name).join("a.jpg"), b"x").expect("writes");
        }
        let mut told = std::collections::BTreeSet::new();
        while told.len() < 2 {
            let notice = notices.recv_timeout(std::time::Duration::from_secs(20));
            if let Ok(Notice::Path { relative, .. }) = notice {
                told.insert(relative);
            }
        }
        assert_eq!(told, [PathBuf::from("new/a.jpg"), PathBuf::from("newer/a.jpg")].into());
    }
}
