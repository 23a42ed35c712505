//! Memory that the agent and a decode worker both see: a photo's bytes on their way to the
//! worker, pixels on their way back.
//!
//! Both are files without a name, in memory, that cannot shrink once they are shared: whoever
//! looks at them never meets a page that is gone. New pages cost more than reading a photo
//! does, so the memory is used again for the next photo; it holds what was there before
//! behind the end of what is there now.
//!
//! A photo's bytes can be written through the one mapping that was there before the memory
//! was sealed, and that is ours: the worker can neither map nor write it, whatever it tries.
//! Pixels are the worker's to write at any time, so nobody ever makes a slice of them: they
//! are copied out.
//!
//! Knows nothing of photos, processes and messages.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{Mmap, MmapMut, MmapOptions, MmapRaw};

/// Pixels of one photo at most, in bytes: three for each of 149 million.
pub(super) const PIXELS_BYTES_MAX: usize = 448 << 20;

/// Room for a usual photo; only what is used takes memory.
const ROOM_BYTES_MIN: usize = 8 << 20;

/// What is larger is given back to the system after its photo.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// The bytes of one photo after another, where a worker can be shown them.
#[derive(Debug, Default)]
pub struct SharedBytes {
    memory: Option<Room>,
    bytes_count: usize,
}

/// Memory of a certain size.
#[derive(Debug)]
struct Room {
    /// What a worker is given: can be mapped for reading and nothing else.
    descriptor: OwnedFd,
    map: MmapMut,
    /// Tells this memory from all other.
    number: u64,
}

impl SharedBytes {
    /// A copy of bytes that are elsewhere.
    ///
    /// # Errors
    /// When the system gives no memory.
    pub fn of(bytes: &[u8]) -> io::Result<Self> {
        let mut shared = Self::default();
        shared.room(bytes.len())?.get_mut(..bytes.len()).unwrap_or_default().copy_from_slice(bytes);
        shared.set_len(bytes.len());
        Ok(shared)
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        let map = self.memory.as_ref().map_or(&[][..], |room| &room.map);
        map.get(..self.bytes_count).unwrap_or_default()
    }

    /// Takes back what is there and gives room for `bytes_count` others, or some more.
    pub(crate) fn room(&mut self, bytes_count: usize) -> io::Result<&mut [u8]> {
        self.bytes_count = 0;
        let fits = |room: &Room| {
            let kept = room.map.len() <= KEPT_BYTES_MAX || bytes_count > KEPT_BYTES_MAX / 2;
            room.map.len() >= bytes_count && kept
        };
        // The old memory is given back before the new is asked for.
        let room = match self.memory.take().filter(fits) {
            Some(room) => room,
            None => Room::new(bytes_count.max(ROOM_BYTES_MIN))?,
        };
        Ok(&mut self.memory.insert(room).map)
    }

    /// Says how many of the bytes in the room are the photo.
    pub(crate) fn set_len(&mut self, bytes_count: usize) {
        self.bytes_count = bytes_count;
    }

    /// What a worker has to be given to see the bytes, and a number that tells whether it was.
    /// `None` when nothing was ever here.
    pub(super) fn share(&self) -> Option<(BorrowedFd<'_>, u64)> {
        self.memory.as_ref().map(|room| (room.descriptor.as_fd(), room.number))
    }
}

impl Room {
    fn new(bytes_count: usize) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let bytes_count =
            bytes_count.checked_next_power_of_two().ok_or(io::ErrorKind::OutOfMemory)?;
        let (file, for_reading) = anonymous_file("signet-photo")?;
        file.set_len(bytes_count as u64)?;
        // SAFETY: a mapping must not change or shrink but through us. Nobody else has the
        // file yet; `seal` below forbids both before anybody is given it, and when it fails,
        // the mapping is dropped here.
        #[expect(unsafe_code, reason = "mapping is what shared memory is")]
        let map = unsafe { MmapMut::map_mut(&file)? };
        seal(&file, Writers::TheFirst)?;
        let descriptor = for_reading.unwrap_or(file).into();
        Ok(Self { descriptor, map, number: NUMBER.fetch_add(1, Ordering::Relaxed) })
    }
}

/// A photo's bytes as the worker sees them.
#[derive(Debug)]
pub(super) struct SeenBytes(Mmap);

impl SeenBytes {
    /// Maps what [`SharedBytes::share`] gave.
    pub(super) fn map(descriptor: &OwnedFd) -> io::Result<Self> {
        let bytes_count = length(descriptor)?;
        // SAFETY: the memory cannot shrink, and the agent, whom the worker trusts, changes it
        // only between an answer and the next request.
        #[expect(unsafe_code, reason = "mapping is what shared memory is")]
        let map = unsafe { MmapOptions::new().len(bytes_count).map(descriptor)? };
        Ok(Self(map))
    }

    /// The photo: the first `bytes_count` bytes.
    pub(super) fn get(&self, bytes_count: u64) -> Option<&[u8]> {
        self.0.get(..usize::try_from(bytes_count).ok()?)
    }

    /// How much there is to be seen.
    pub(super) fn bytes_count(&self) -> usize {
        self.0.len()
    }
}

/// The memory for pixels as the worker sees it. Writing through a mapping takes half the time
/// of a call that writes.
#[derive(Debug)]
pub(super) struct PixelsToBe(MmapRaw);

impl PixelsToBe {
    /// Maps what [`Pixels::share`] gave.
    pub(super) fn map(descriptor: &OwnedFd) -> io::Result<Self> {
        let map = MmapOptions::new().len(length(descriptor)?).map_raw(descriptor)?;
        Ok(Self(map))
    }

    /// Puts pixels at the beginning. `false`: there is no room for so many.
    pub(super) fn put(&mut self, rgb: &[u8]) -> bool {
        let fits = rgb.len() <= self.0.len();
        if fits {
            // SAFETY: the mapping has at least so many bytes and its file cannot shrink; the
            // pixels are elsewhere. The agent makes no slice of them and copies them only after
            // it was told of them.
            #[expect(unsafe_code, reason = "memory that another process reads is no slice")]
            unsafe {
                std::ptr::copy_nonoverlapping(rgb.as_ptr(), self.0.as_mut_ptr(), rgb.len());
            }
        }
        fits
    }
}

/// How much memory a descriptor stands for. The mapping crate would ask with a call that can
/// name files.
fn length(descriptor: &OwnedFd) -> io::Result<usize> {
    usize::try_from(rustix::fs::fstat(descriptor)?.st_size).map_err(io::Error::other)
}

/// Where a worker puts pixels.
#[derive(Debug)]
pub(super) struct Pixels {
    descriptor: File,
    map: MmapRaw,
}

impl Pixels {
    /// Room for [`PIXELS_BYTES_MAX`]; takes memory as it is written.
    pub(super) fn new() -> io::Result<Self> {
        let (file, _for_reading) = anonymous_file("signet-pixels")?;
        file.set_len(PIXELS_BYTES_MAX as u64)?;
        seal(&file, Writers::Anyone)?;
        let map = MmapOptions::new().map_raw_read_only(&file)?;
        Ok(Self { descriptor: file, map })
    }

    /// What the worker is given.
    pub(super) fn share(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Copies the first bytes out; `None` when there are fewer or no memory is left.
    pub(super) fn copy(&self, bytes_count: usize) -> Option<Vec<u8>> {
        let mut pixels = Vec::new();
        if bytes_count > self.map.len() || pixels.try_reserve_exact(bytes_count).is_err() {
            return None;
        }
        // SAFETY: the mapping has at least `bytes_count` bytes and its file cannot shrink; the
        // vector has room for them and is elsewhere. Should a worker that was taken over write
        // meanwhile, other bytes are copied, and any byte is one of a pixel.
        #[expect(unsafe_code, reason = "memory that another process may write is no slice")]
        unsafe {
            std::ptr::copy_nonoverlapping(self.map.as_ptr(), pixels.as_mut_ptr(), bytes_count);
            pixels.set_len(bytes_count);
        }
        Some(pixels)
    }

    /// Whether so many bytes are worth being kept for the next photo.
    pub(super) const fn is_kept(bytes_count: usize) -> bool {
        bytes_count <= KEPT_BYTES_MAX
    }
}

/// Who may write memory once it is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writers {
    /// Whoever is given it.
    Anyone,
    /// Whoever mapped it before.
    TheFirst,
}

/// A file in memory that has no name and, where sealing is unknown, itself for reading only.
#[cfg(target_os = "linux")]
fn anonymous_file(what: &str) -> io::Result<(File, Option<File>)> {
    use rustix::fs::{MemfdFlags, memfd_create};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok((File::from(memfd_create(what, flags)?), None))
}

#[cfg(target_os = "linux")]
fn seal(file: &File, writers: Writers) -> io::Result<()> {
    use rustix::fs::{SealFlags, fcntl_add_seals};
    let mut seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    if writers == Writers::TheFirst {
        seals |= SealFlags::FUTURE_WRITE;
    }
    fcntl_add_seals(file, seals).map_err(|error| match error {
        rustix::io::Errno::INVAL => io::Error::other("Linux 5.1 or newer is needed"),
        error => error.into(),
    })
}

/// A file that was removed as soon as it was opened.
#[cfg(not(target_os = "linux"))]
fn anonymous_file(what: &str) -> io::Result<(File, Option<File>)> {
    use std::os::unix::fs::OpenOptionsExt;
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("{what}-{}-{number}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    let for_reading = File::open(&path);
    std::fs::remove_file(&path)?;
    Ok((file, Some(for_reading?)))
}

/// Where nothing can be sealed, readers have a descriptor that is for reading only.
#[cfg(not(target_os = "linux"))]
fn seal(_file: &File, _writers: Writers) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn photo_after_photo_comes_through_the_same_memory() {
        let mut shared = SharedBytes::of(b"first").expect("memory");
        let (descriptor, first_number) = shared.share().expect("memory");
        let seen = descriptor.try_clone_to_owned().expect("a descriptor");
        let seen = SeenBytes::map(&seen).expect("mapped");
        assert_eq!(seen.get(5), Some(b"first".as_slice()));
        shared.room(6).expect("memory")[..6].copy_from_slice(b"second");
        assert!(shared.as_slice().is_empty(), "half a photo can be seen");
        shared.set_len(6);
        assert_eq!((shared.as_slice(), seen.get(6)), (&b"second"[..], Some(&b"second"[..])));
        assert_eq!(shared.share().expect("memory").1, first_number);
        assert_eq!(seen.get(u64::MAX), None);
    }

    #[test]
    fn photo_that_does_not_fit_gets_other_memory_and_a_huge_one_gives_it_back() {
        let mut shared = SharedBytes::default();
        assert!(shared.as_slice().is_empty());
        let mut number_for = |bytes_count| {
            assert!(shared.room(bytes_count).expect("memory").len() >= bytes_count);
            shared.share().expect("memory").1
        };
        let small = number_for(10);
        assert_eq!(number_for(ROOM_BYTES_MIN), small);
        let large = number_for(KEPT_BYTES_MAX + 1);
        assert_ne!(large, small);
        assert_eq!(number_for(KEPT_BYTES_MAX), large);
        assert_ne!(number_for(10), large);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn whoever_is_given_a_photo_cannot_change_it() {
        let shared = SharedBytes::of(b"as it is").expect("memory");
        let given = shared.share().expect("memory").0.try_clone_to_owned().expect("a descriptor");
        let given = File::from(given);
        given.write_all_at(b"changed!", 0).expect_err("written");
        given.set_len(0).expect_err("shrunk");
        given.set_len(1 << 40).expect_err("grown");
        MmapOptions::new().map_raw(&given).expect_err("mapped for writing");
        assert_eq!(shared.as_slice(), b"as it is");
    }

    #[test]
    fn pixels_are_copied_out_and_no_more_than_there_are() {
        let pixels = Pixels::new().expect("memory");
        let given = pixels.share().try_clone_to_owned().expect("a descriptor");
        let mut worker = PixelsToBe::map(&given).expect("mapped");
        assert!(worker.put(&[1, 2, 3]));
        assert_eq!(pixels.copy(4), Some(vec![1, 2, 3, 0]));
        assert!(!worker.put(&vec![0; PIXELS_BYTES_MAX + 1]));
        let given = File::from(given);
        assert_eq!(pixels.copy(PIXELS_BYTES_MAX + 1), None);
        #[cfg(target_os = "linux")]
        given.set_len(0).expect_err("shrunk under the reader");
    }
}
