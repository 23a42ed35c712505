//! A folder beside a store that speaks S3 (moto's server, from `scripts/setup.sh`; skipped without
//! it) and beside a store that is a folder.

use std::io::{BufRead, BufReader, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A server for S3, with one bucket.
struct Store {
    child: Child,
    say: ChildStdin,
    answers: BufReader<ChildStdout>,
    port: u16,
    keys: (String, String),
}

impl Store {
    /// `None` when it is not here.
    fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/peers/s3/bin/python");
        if !python.exists() {
            eprintln!("skipped: no store that speaks S3 here: run scripts/setup.sh");
            return None;
        }
        let mut child = Command::new(python)
            .arg(root.join("tests/data/s3_store.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let say = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        answers.read_line(&mut line).expect("begins");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [port, id, secret] = words.as_slice() else { panic!("`{line}`") };
        let (port, keys) =
            (port.parse().expect("a port"), ((*id).to_owned(), (*secret).to_owned()));
        Some(Self { child, say, answers, port, keys })
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.say, "{line}").expect("told");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("answered");
        assert_eq!(answer.trim(), "ok", "{line}");
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What [`Store`] makes of a size and a seed.
fn content(size: usize, seed: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from((seed * 31 + (at % 251) * 7) % 251).expect("small")).collect()
}

/// A home with one collection.
struct Copy {
    root: tempfile::TempDir,
    collection: Collection,
}

impl Copy {
    fn of(store: &str) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let mut collection = Collection::folder("c", root.path().join("copy"));
        collection.store = Some(store.to_owned());
        Self { root, collection }
    }

    fn of_s3(store: &Store, port: u16) -> Self {
        let mut copy = Self::of("s3://photos/2026");
        copy.collection.endpoint = Some(format!("http://127.0.0.1:{port}"));
        copy.collection.keys = Some("s3.keys".into());
        copy.keys(&store.keys.0, &store.keys.1);
        copy
    }

    fn keys(&self, id: &str, secret: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.root.path().join("s3.keys");
        let text = format!("access_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\n");
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("private");
    }

    fn open(&self) -> Bucket {
        let home = Home::at(self.root.path());
        let opened = Bucket::of(&home, &self.collection, Arc::new(|_event| {}));
        opened.expect("opens").expect("a copy")
    }

    fn file(&self, relative: &str) -> Option<Vec<u8>> {
        std::fs::read(self.collection.path.join(relative)).ok()
    }

    fn files_count(&self) -> usize {
        std::fs::read_dir(&self.collection.path).expect("a folder").count()
    }
}

fn block_on<F: Future>(work: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime").block_on(work)
}

fn pass(bucket: &mut Bucket) -> Result<(usize, usize, usize), String> {
    let passed = block_on(bucket.pass()).map_err(|error| one_line(&error));
    passed.map(|passed| (passed.fetched_count, passed.removed_count, passed.held_count))
}

#[test]
fn folder_follows_a_bucket_of_many_pages() {
    let Some(mut store) = Store::start() else { return };
    store.tell("many 2026/a 1105");
    store.tell("put 2026/b/ä\u{a0}ö.jpg 70000 3");
    store.tell("put 2025/old.jpg 10 1");
    store.tell("multipart 2026/long.jpg 4");
    let copy = Copy::of_s3(&store, store.port);
    let mut bucket = copy.open();
    assert!(!bucket.record.is_complete());
    assert_eq!(pass(&mut bucket), Ok((1107, 0, 0)));
    assert_eq!(copy.file("a01034.jpg"), Some(content(20, 1034)));
    assert_eq!(copy.file("long.jpg"), Some(content(6 * 1024 * 1024, 4)));
    assert!(copy.file("b/ä\u{a0}ö.jpg").is_some_and(|bytes| bytes == content(70_000, 3)));
    assert_eq!(copy.file("old.jpg"), None, "it lies beside the prefix");
    // Nothing new, also for one that only knows what was written down, or not even that.
    assert_eq!(pass(&mut bucket), Ok((0, 0, 0)));
    assert!(copy.open().record.is_complete());
    assert_eq!(pass(&mut copy.open()), Ok((0, 0, 0)));
    std::fs::remove_dir_all(copy.root.path().join("buckets")).expect("removed");
    assert_eq!(
        pass(&mut copy.open()),
        Ok((0, 0, 0)),
        "what is here as it is there, is not fetched"
    );

    let mut bucket = copy.open();
    store.tell("put 2026/a00007.jpg 20 8");
    store.tell("delete 2026/a0000");
    store.tell("put 2026/new.jpg 5 1");
    assert_eq!(pass(&mut bucket), Ok((1, 10, 0)));
    assert_eq!((copy.file("a00007.jpg"), copy.file("new.jpg")), (None, Some(content(5, 1))));
    // Half of it at once is believed the second time; everything never.
    store.tell("delete 2026/a01");
    store.tell("delete 2026/a000");
    assert_eq!(pass(&mut bucket), Ok((0, 0, 195)));
    assert_eq!(pass(&mut bucket), Ok((0, 195, 0)));
    store.tell("delete 2026/");
    let left = copy.files_count();
    assert_eq!(pass(&mut bucket).map(|passed| passed.1), Ok(0));
    assert_eq!(pass(&mut bucket).map(|passed| passed.1), Ok(0));
    assert_eq!(copy.files_count(), left);
}

#[test]
fn object_that_was_replaced_is_fetched_again_and_a_file_of_the_owner_stays() {
    let Some(mut store) = Store::start() else { return };
    store.tell("put 2026/a.jpg 1000 1");
    store.tell("put 2026/mine.jpg 1000 1");
    let copy = Copy::of_s3(&store, store.port);
    let mut bucket = copy.open();
    std::fs::write(copy.collection.path.join("mine.jpg"), b"mine").expect("written");
    assert_eq!(pass(&mut bucket), Ok((1, 0, 0)));
    assert_eq!(copy.file("mine.jpg").as_deref(), Some(&b"mine"[..]));
    store.tell("put 2026/a.jpg 1000 2");
    assert_eq!(pass(&mut bucket), Ok((1, 0, 0)));
    assert_eq!(copy.file("a.jpg"), Some(content(1000, 2)));
    assert!(!copy.collection.path.join("a.jpg.part").exists());
}

#[test]
fn wrong_keys_are_named_and_right_ones_are_let_in() {
    let Some(mut store) = Store::start() else { return };
    store.tell("put 2026/a.jpg 1000 1");
    store.tell("keys");
    let copy = Copy::of_s3(&store, store.port);
    copy.keys("AKIAIOSFODNN7EXAMPLE", "wrong");
    let error = pass(&mut copy.open()).expect_err("refused");
    assert!(error.contains("does not know these keys"), "{error}");
    copy.keys(&store.keys.0, "wrong");
    let error = pass(&mut copy.open()).expect_err("refused");
    assert!(error.contains("does not know these keys"), "{error}");
    copy.keys(&store.keys.0, &store.keys.1);
    assert_eq!(pass(&mut copy.open()), Ok((1, 0, 0)));
}

/// Passes connections on; those whose number is asked for end after so many bytes of the answer.
fn cutting(to: u16, cut: impl Fn(usize) -> Option<usize> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", to))) else {
                return;
            };
            let bytes_max = cut(number).unwrap_or(usize::MAX) as u64;
            let mut asks = (client.try_clone().expect("twice"), server.try_clone().expect("twice"));
            std::thread::spawn(move || std::io::copy(&mut asks.0, &mut asks.1));
            std::thread::spawn(move || {
                let (mut client, server) = (client, server);
                let _ = std::io::copy(&mut (&server).take(bytes_max), &mut client);
                let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
            });
        }
    });
    port
}

#[test]
fn transfer_that_breaks_off_goes_on_and_a_listing_that_does_removes_nothing() {
    let Some(mut store) = Store::start() else { return };
    store.tell("put 2026/long.jpg 3000000 1");
    store.tell("many 2026/a 30");
    let broken = Arc::new(AtomicUsize::new(0));
    let count = broken.clone();
    let port = cutting(store.port, move |number| {
        // Sometimes a connection ends in the middle of the long one.
        (number % 3 == 0).then(|| {
            count.fetch_add(1, Ordering::SeqCst);
            1_000_000
        })
    });
    let copy = Copy::of_s3(&store, port);
    let mut bucket = copy.open();
    // Each try gets further or is repeated; in the end it is whole.
    for _ in 0..5 {
        if pass(&mut bucket).is_ok() {
            break;
        }
    }
    assert!(broken.load(Ordering::SeqCst) > 0);
    assert_eq!(copy.file("long.jpg"), Some(content(3_000_000, 1)));
    assert_eq!(copy.files_count(), 31, "no rest of a transfer");

    store.tell("delete 2026/a0000");
    let cut = Copy {
        collection: Collection {
            endpoint: Some(format!("http://127.0.0.1:{}", cutting(store.port, |_| Some(700)))),
            ..copy.collection.clone()
        },
        root: copy.root,
    };
    let error = pass(&mut cut.open()).expect_err("the listing is not whole");
    assert!(error.contains("s3://photos/2026"), "{error}");
    assert_eq!(cut.files_count(), 31);
}

#[test]
fn folder_follows_another_folder() {
    let there = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(there.path().join("2026")).expect("made");
    std::fs::write(there.path().join("2026/a b.jpg"), b"one").expect("written");
    std::fs::write(there.path().join("x.jpg"), b"two").expect("written");
    let copy = Copy::of(&format!("file://{}", there.path().display()));
    let mut bucket = copy.open();
    assert_eq!(pass(&mut bucket), Ok((2, 0, 0)));
    assert_eq!(copy.file("2026/a b.jpg").as_deref(), Some(&b"one"[..]));
    let time =
        |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).expect("time");
    let millis = |path: &Path| time(path).duration_since(UNIX_EPOCH).expect("later").as_millis();
    assert_eq!(
        millis(&there.path().join("x.jpg")),
        millis(&copy.collection.path.join("x.jpg")),
        "the time of change comes with it"
    );
    std::fs::remove_file(there.path().join("x.jpg")).expect("removed");
    assert_eq!(pass(&mut bucket), Ok((0, 1, 0)));
    std::fs::remove_dir_all(there.path().join("2026")).expect("removed");
    assert_eq!(pass(&mut bucket), Ok((0, 0, 1)), "an empty store is not believed");
    assert!(copy.file("2026/a b.jpg").is_some());
}

#[test]
fn address_that_means_no_store_is_refused_with_the_cure() {
    let of = |store: &str| {
        let copy = Copy::of(store);
        let opened = Bucket::of(&Home::at(copy.root.path()), &copy.collection, Arc::new(|_| {}));
        opened.err().map(|error| one_line(&error)).unwrap_or_default()
    };
    for wrong in ["photos", "s3://", "s3:///prefix", "ftp://a/b", "file://here"] {
        assert!(of(wrong).contains("s3://BUCKET/PREFIX"), "{wrong}: {}", of(wrong));
    }
    assert!(of("file:///no/such/folder").contains("/no/such/folder"));
    let copy = Copy {
        collection: Collection { keys: Some("s3.keys".into()), ..Copy::of("s3://a").collection },
        root: tempfile::tempdir().expect("a folder"),
    };
    let opened = || Bucket::of(&Home::at(copy.root.path()), &copy.collection, Arc::new(|_| {}));
    let path = copy.root.path().join("s3.keys");
    std::fs::write(&path, "secret = \"hidden\"").expect("written");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("set");
    let error = one_line(&opened().err().expect("refused"));
    assert!(error.contains("chmod 600"), "{error}");
    copy.keys("a", "b");
    assert!(opened().is_ok());
    std::fs::write(&path, "secret = \"hidden\"").expect("written");
    let error = one_line(&opened().err().expect("refused"));
    assert!(error.contains("access_key_id") && !error.contains("hidden"), "{error}");
}

#[test]
fn clock_that_is_wrong_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut lines = BufReader::new(&client).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let body = "<?xml version=\"1.0\"?><Error><Code>RequestTimeTooSkewed</Code></Error>";
            let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\n";
            let _ = write!(&client, "{head}content-length: {}\r\n\r\n{body}", body.len());
        }
    });
    let mut copy = Copy::of("s3://photos");
    copy.collection.endpoint = Some(format!("http://127.0.0.1:{port}"));
    copy.collection.keys = Some("s3.keys".into());
    copy.keys("a", "b");
    let error = pass(&mut copy.open()).expect_err("refused");
    assert!(error.contains("clock of this computer"), "{error}");
}
