//! Decode workers that were taken over, that never end, that crash: each is refused, ended
//! and replaced, and the photo behind it is done.
//!
//! This program is such a worker itself: started again with the name of
//! [`worker_that_was_taken_over`], it closes the same jail as the real one and then does what
//! a photo says instead of decoding it.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, kill_process};
use signet::base::causes::one_line;
use signet::base::member::Member;
use signet::media::sandbox::{self, PROCESSOR_TIME_MAX};
use signet::media::{
    DecodeError, DecodeSpec, Decoded, Decoder, Decoders, Embedded, Evidence, Extras, Frame,
    MediaType, Metadata, Retry, SandboxError, SharedBytes,
};

use crate::common::{note, wait_for};
use crate::mutations::{good_files, real_decoders};

/// A decoder whose worker does what photos say.
fn taken_over() -> Decoder {
    let program = std::env::current_exe().expect("this program");
    let test = "sandbox::worker_that_was_taken_over";
    Decoders::of_program(program, [test, "--exact", "--ignored", "--nocapture"]).decoder()
}

fn photo(bytes: impl AsRef<[u8]>) -> SharedBytes {
    SharedBytes::of(bytes.as_ref()).expect("memory")
}

/// What became of a photo, on one line.
fn told(result: Result<Decoded, SandboxError>) -> String {
    match result {
        Ok(decoded) => format!("{}x{}", decoded.width_px, decoded.height_px),
        Err(error) => one_line(&error),
    }
}

#[test]
#[ignore = "not a test: the worker of the others, which start it"]
fn worker_that_was_taken_over() {
    sandbox::serve(Vec::new, obey).expect("the agent speaks as it should");
}

/// Does what a photo says.
fn obey(photo: &[u8], _spec: DecodeSpec) -> Result<Decoded, DecodeError> {
    let text = String::from_utf8_lossy(photo).into_owned();
    let (order, about) = text.split_once(' ').unwrap_or((&text, ""));
    let got: io::Result<()> = match order {
        "good" => return Ok(small_photo(Extras::default())),
        "open" => std::fs::File::open(about).map(drop),
        "create" => std::fs::File::create(about).map(drop),
        "list" => std::fs::read_dir(about).map(drop),
        "connect" => TcpStream::connect(about).map(drop),
        "start" => std::process::Command::new(about).status().map(drop),
        "kill" => kill_process(getppid().expect("a parent"), Signal::TERM).map_err(Into::into),
        "trace" => trace(getppid().expect("a parent")),
        "change" => make_writable(photo),
        "share" => share_memory(),
        "grow" => rustix::fs::memfd_create("more", rustix::fs::MemfdFlags::CLOEXEC)
            .map(drop)
            .map_err(Into::into),
        "execute" => executable_memory(),
        "spin" => spin(Duration::MAX),
        "spin-then-good" => {
            let _spun = spin(Duration::from_secs(1));
            return Ok(small_photo(Extras::default()));
        }
        "eat" => eat(),
        "crash" => crash(),
        "leave" => std::process::exit(3),
        "lie" => {
            let film = Embedded {
                member: Member::Motion,
                media_type: "video/mp4".into(),
                offset: 1,
                bytes_count: 1 << 40,
                evidence: Evidence::Ftyp,
            };
            return Ok(small_photo(Extras { embedded: vec![film], ..Extras::default() }));
        }
        _ => Err(io::Error::other("no such order")),
    };
    Err(DecodeError::Damaged(match got {
        Ok(()) => "GOT THROUGH".into(),
        Err(error) => error.to_string().into(),
    }))
}

fn small_photo(extras: Extras) -> Decoded {
    Decoded {
        frame: Frame::new(2, 2, vec![7; 12]).expect("a frame"),
        width_px: 2,
        height_px: 2,
        media_type: MediaType::Jpeg,
        metadata: Metadata::default(),
        extras,
    }
}

fn errno(answer: libc::c_long) -> io::Result<()> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[expect(unsafe_code, reason = "an exploit")]
fn trace(whom: Pid) -> io::Result<()> {
    // SAFETY: attaching touches no memory of ours.
    errno(unsafe { libc::ptrace(libc::PTRACE_ATTACH, whom.as_raw_nonzero().get(), 0, 0) })
}

#[expect(unsafe_code, reason = "an exploit")]
fn make_writable(photo: &[u8]) -> io::Result<()> {
    let page = photo.as_ptr().wrapping_sub(photo.as_ptr().addr() % 4096);
    // SAFETY: more rights to a page of ours; nothing is written.
    errno(
        unsafe { libc::mprotect(page.cast_mut().cast(), 4096, libc::PROT_READ | libc::PROT_WRITE) }
            .into(),
    )
}

#[expect(unsafe_code, reason = "an exploit")]
fn map(protection: libc::c_int, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: new memory, given back never, touched never.
    let mapped = unsafe {
        libc::mmap(std::ptr::null_mut(), 1 << 30, protection, flags | libc::MAP_ANONYMOUS, -1, 0)
    };
    if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Memory that no limit counts as the worker's own.
fn share_memory() -> io::Result<()> {
    map(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED)
}

fn executable_memory() -> io::Result<()> {
    map(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE)
}

fn spin(longest: Duration) -> io::Result<()> {
    let spent = || rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let spent = || Duration::try_from(spent()).unwrap_or_default();
    let began = spent();
    while spent() - began < longest {
        (0..100_000).for_each(|_| std::hint::spin_loop());
    }
    Ok(())
}

fn eat() -> io::Result<()> {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    loop {
        eaten.push(std::hint::black_box(vec![1; 16 << 20]));
    }
}

#[expect(unsafe_code, reason = "a crash")]
fn crash() -> io::Result<()> {
    // SAFETY: none, it is meant to crash: nothing is ever mapped there.
    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
    Ok(())
}

#[test]
fn taken_over_worker_gets_nowhere() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let folder = tempfile::tempdir().expect("a folder");
    let created = folder.path().join("created");
    let stopped = "the decoder was stopped: it tried something that no decoder needs";
    let denied = "the file is damaged: Operation not permitted (os error 1)";
    let refused: [(String, &str); 11] = [
        ("open /etc/passwd".into(), denied),
        (format!("create {}", created.display()), denied),
        ("list /".into(), denied),
        ("share".into(), denied),
        ("change".into(), "the file is damaged: Permission denied (os error 13)"),
        (format!("connect {}", listener.local_addr().expect("an address")), stopped),
        ("start /bin/true".into(), stopped),
        ("kill".into(), stopped),
        ("trace".into(), stopped),
        ("grow".into(), stopped),
        ("execute".into(), stopped),
    ];
    let mut decoder = taken_over();
    for (order, wanted) in refused {
        assert_eq!(told(decoder.decode(&photo(&order), DecodeSpec::default())), wanted, "{order}");
        let next = told(decoder.decode(&photo("good"), DecodeSpec::default()));
        assert_eq!(next, "2x2", "the photo behind `{order}`");
    }
    assert!(!created.exists());
    let connected = listener.accept().expect_err("somebody connected");
    assert_eq!(connected.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn worker_that_ends_over_a_photo_is_told_and_replaced() {
    let mut decoder = taken_over();
    for (order, wanted) in [
        ("spin", "decoding took more than 5 s of processor time"),
        ("eat", "the decoder was stopped: it needed too much memory"),
        ("crash", "the decoder crashed on it (signal 11)"),
        ("leave", "the decoder crashed on it (exit code 3)"),
        ("lie", "the decoder made no sense: a part of the file that is outside it cannot be true"),
    ] {
        let error = decoder.decode(&photo(order), DecodeSpec::default()).expect_err(order);
        assert_eq!((one_line(&error).as_str(), error.retry()), (wanted, Retry::WhenFileChanges));
        let next = told(decoder.decode(&photo("good"), DecodeSpec::default()));
        assert_eq!(next, "2x2", "the photo behind `{order}`");
    }
}

#[test]
fn worker_is_ended_soon_after_its_processor_time() {
    let mut decoder = taken_over();
    decoder.posture().expect("a worker");
    let pid = decoder.worker_id().expect("a worker");
    let watching = std::thread::spawn(move || {
        let mut most = Duration::ZERO;
        wait_for("the worker to end", || {
            let spent = processor_time(pid);
            most = most.max(spent.unwrap_or_default());
            spent.is_none().then_some(())
        });
        most
    });
    let error = decoder.decode(&photo("spin"), DecodeSpec::default()).expect_err("endless");
    assert!(matches!(error, SandboxError::Slow), "{error}");
    let most = watching.join().expect("watched");
    note(&format!("a decoder without end was stopped after {most:?} of processor time"));
    assert!(most < PROCESSOR_TIME_MAX + Duration::from_secs(1), "{most:?}");
}

#[test]
fn photo_whose_worker_was_killed_is_shown_to_another() {
    let mut decoder = taken_over();
    decoder.posture().expect("a worker");
    let pid = decoder.worker_id().expect("a worker");
    let killing = std::thread::spawn(move || {
        wait_for("the worker to be at it", || {
            processor_time(pid).filter(|time| *time > Duration::from_millis(100))
        });
        kill_process(pid_of(pid), Signal::KILL).expect("killed");
    });
    let result = decoder.decode(&photo("spin-then-good"), DecodeSpec::default());
    killing.join().expect("killed");
    assert_eq!(told(result), "2x2");
    assert_ne!(decoder.worker_id(), Some(pid));
}

#[test]
fn worker_ends_with_its_decoder_and_with_its_thread() {
    let mut decoder = taken_over();
    decoder.posture().expect("a worker");
    let pid = decoder.worker_id().expect("a worker");
    drop(decoder);
    assert!(!is_running(pid));
    // A thread that is gone without a word: as if the agent were killed.
    let pid = std::thread::spawn(|| {
        let mut decoder = taken_over();
        decoder.posture().expect("a worker");
        let pid = decoder.worker_id().expect("a worker");
        std::mem::forget(decoder);
        pid
    });
    let pid = pid.join().expect("a worker");
    wait_for("the worker to end", || (!is_running(pid)).then_some(()));
}

#[test]
fn program_that_is_no_worker_is_told_with_the_cure() {
    for (program, arguments) in [("/bin/true", vec![]), ("/no/such/program", vec!["x"])] {
        let mut decoder = Decoders::of_program(PathBuf::from(program), arguments).decoder();
        let error = decoder.decode(&photo("good"), DecodeSpec::default()).expect_err("no worker");
        let text = one_line(&error);
        assert!(text.starts_with("no decoder can be started: see whether"), "{text}");
        assert_eq!(error.retry(), Retry::Soon, "{program}");
    }
}

#[test]
fn sandboxed_decoder_answers_as_the_decoder_itself() {
    let mut boxed = real_decoders().decoder();
    let mut files = good_files();
    files.push(("nothing", Vec::new()));
    files.push(("text", b"<html>not a photo</html>".to_vec()));
    for (name, bytes) in &files {
        for end in [bytes.len(), bytes.len() / 2] {
            let bytes = &bytes[..end];
            let here = signet::media::decode(bytes, DecodeSpec::default());
            let there = boxed.decode(&photo(bytes), DecodeSpec::default());
            match (here, there) {
                (Ok(here), Ok(there)) => assert_eq!(here, there, "{name} to {end}"),
                (Err(here), Err(there)) => {
                    assert_eq!(one_line(&here), one_line(&there), "{name} to {end}");
                }
                (here, there) => panic!("{name} to {end}: {here:?} is not {there:?}"),
            }
        }
    }
}

#[test]
fn photo_that_promises_too_much_is_told_as_too_large_there_as_well() {
    let mut boxed = real_decoders().decoder();
    let spec = DecodeSpec { cover_px: 8, pixels_max: 100, ..DecodeSpec::default() };
    let (_, bytes) = good_files().swap_remove(0);
    let error = boxed.decode(&photo(bytes), spec).expect_err("more than 100 pixels");
    let SandboxError::Photo(DecodeError::TooLarge { pixels_max: 100, .. }) = error else {
        panic!("{error:?}");
    };
}

fn pid_of(id: u32) -> Pid {
    Pid::from_raw(id.try_into().expect("a process id")).expect("not zero")
}

fn is_running(id: u32) -> bool {
    // A process that is gone and not yet waited for is a zombie.
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// Processor time of a process while it runs.
fn processor_time(id: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?;
    (fields[0] != "Z").then_some(Duration::from_millis(ticks * 10))
}
