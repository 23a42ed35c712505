//! Listens to the file system. The only place that knows `notify`.
//!
//! In:  a root.
//! Out: notices about paths below it; that events were lost; that watching is not enough.
//!
//! Asked for are changes and ends of writing, not openings and ends of reading: a program
//! that reads a hundred thousand photos would else fill the queue with its own events.
//!
//! Events of network and user-space file systems tell only what this computer did, so such
//! roots are scanned often as well.

use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{
    Config, ErrorKind, EventKind, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher,
};

use super::coalesce::Hint;

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
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    _watcher: RecommendedWatcher,
}

/// Why a root is not watched, or not all of it.
#[derive(Debug)]
pub(super) enum WatchError {
    /// The system's limit of watched folders is reached; some folders are watched.
    Limit(Option<Watch>),
    /// Any other reason, in words.
    Other(String),
}

/// Begins to listen; `tell` is called on a thread of its own and must not block.
pub(super) fn watch(
    root: &Path,
    tell: impl Fn(Notice) + Send + 'static,
) -> Result<Watch, WatchError> {
    let config = Config::default()
        .with_follow_symlinks(false)
        .with_event_kinds(EventKindMask::CORE | EventKindMask::ACCESS_CLOSE);
    let below = root.to_path_buf();
    let handler = move |event: notify::Result<notify::Event>| translate(&below, event, &tell);
    let mut watcher = RecommendedWatcher::new(handler, config)
        .map_err(|error| WatchError::Other(error.to_string()))?;
    match watcher.watch(root, RecursiveMode::Recursive) {
        Ok(()) => Ok(Watch { _watcher: watcher }),
        Err(error) if is_limit(&error) => Err(WatchError::Limit(Some(Watch { _watcher: watcher }))),
        Err(error) => Err(WatchError::Other(error.to_string())),
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

/// Says in our words what an event means.
fn translate(root: &Path, event: notify::Result<notify::Event>, tell: &impl Fn(Notice)) {
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
        match path.strip_prefix(root) {
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

    fn check(event: notify::Event, wanted: &[Notice]) {
        let told = RefCell::new(Vec::new());
        translate(Path::new("/r"), Ok(event), &|notice| told.borrow_mut().push(notice));
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
        translate(Path::new("/r"), Err(notify::Error::new(ErrorKind::MaxFilesWatch)), &tell);
        translate(Path::new("/r"), Err(notify::Error::generic("else")), &tell);
        assert_eq!(told.into_inner(), [Notice::Limit, Notice::Lost]);
    }
}
