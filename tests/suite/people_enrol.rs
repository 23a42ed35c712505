//! The way in to faces: networks are pulled, people are enrolled, rules know them, doctor says how
//! it stands. What is asked of pictures of people needs the networks and portraits of the shared set.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use signet::access::people_book::PeopleBook;
use signet::agent::analyse::{Analyst, Eyes};
use signet::base::clock::Timestamp;
use signet::base::ids::ContentHash;
use signet::detection::faces::{Manifest, manifest};
use signet::media::{Decoders, SharedBytes, read_shared};

use super::common::{Home, Run, shared};
use super::world::{World, sample};

/// An initialised home.
fn home() -> Home {
    let home = Home::new();
    home.run(&["init", "--address", "mailto:a@example.org", "--owner", "A"]).done();
    home
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// A failed run says all of these, on one line.
#[track_caller]
fn check_refused(run: &Run, code: i32, parts: &[&str]) {
    assert_eq!(run.code, code, "{run:#?}");
    for part in parts {
        assert!(run.stderr.contains(part), "no `{part}` in {}", run.stderr);
    }
}

// Pulling networks -----------------------------------------------------------------------

/// How a server answers one request.
#[derive(Clone, Copy)]
enum Answer {
    Whole,
    Half,
    Altered,
    Missing,
}

/// A web server with files; answers in the order of `answers`, then whole.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(files: Vec<(String, Vec<u8>)>, answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut answers) = (asked.clone(), answers.to_vec());
        answers.reverse();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let name = requested(&stream);
                let bytes = files.iter().find(|(file, _)| *file == name).map(|(_, bytes)| bytes);
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(name);
                answer(stream, bytes.map(Vec::as_slice), answers.pop().unwrap_or(Answer::Whole));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("what was asked").clone()
    }
}

/// The file that a request names.
fn requested(mut stream: &TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned()
}

fn answer(mut stream: TcpStream, bytes: Option<&[u8]>, answer: Answer) {
    let (status, bytes) = match (bytes, answer) {
        (None, _) | (_, Answer::Missing) => ("404 Not Found", &b"none"[..]),
        (Some(bytes), _) => ("200 OK", bytes),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        bytes.len()
    );
    let mut body = bytes.to_vec();
    match answer {
        Answer::Half => body.truncate(body.len() / 2),
        Answer::Altered => body.reverse(),
        Answer::Whole | Answer::Missing => {}
    }
    // The other side may have hung up.
    let _sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

/// Two files in the place of the networks, and a manifest that says where they are.
struct Pair {
    folder: Home,
    files: Vec<(String, Vec<u8>)>,
}

impl Pair {
    fn new(bytes: [&[u8]; 2]) -> Self {
        let manifest = Manifest::parse(manifest::SHIPPED).expect("the manifest");
        let sources = [&manifest.detector.source, &manifest.recogniser.source];
        let names = sources.map(|source| source.file.clone());
        let files = names.into_iter().zip(bytes.map(<[u8]>::to_vec)).collect();
        let pair = Self { folder: Home::new(), files };
        pair.name_addresses(0);
        pair
    }

    /// Writes the manifest with addresses on this computer.
    fn name_addresses(&self, port: u16) {
        let manifest = Manifest::parse(manifest::SHIPPED).expect("the manifest");
        let mut text = manifest::SHIPPED.to_owned();
        for (source, (name, bytes)) in
            [&manifest.detector.source, &manifest.recogniser.source].into_iter().zip(&self.files)
        {
            let said = [
                (source.sha256.to_string(), ContentHash::of(bytes).to_string()),
                (format!("bytes = {}", source.bytes), format!("bytes = {}", bytes.len())),
                (source.url.clone(), format!("http://127.0.0.1:{port}/{name}")),
            ];
            for (old, new) in said {
                assert!(text.contains(&old), "{old}");
                text = text.replacen(&old, &new, 1);
            }
        }
        self.folder.write("model.toml", text);
    }

    /// Serves the files, and has the manifest and the home name that server.
    fn serve(&self, home: &Home, answers: &[Answer]) -> Server {
        let server = Server::start(self.files.clone(), answers);
        self.name_addresses(server.port);
        allow(home, server.port);
        server
    }

    /// Whether a home has exactly these files and nothing half beside them.
    fn is_in(&self, home: &Home) -> bool {
        let folder = home.path().join("models/faces");
        let is_here = |(name, bytes): &(String, Vec<u8>)| {
            std::fs::read(folder.join(name)).is_ok_and(|found| found == *bytes)
        };
        folder.join("model.toml").exists()
            && self.files.iter().all(is_here)
            && !home.path().join("models/faces.part").exists()
    }

    fn pull(&self, home: &Home) -> Run {
        home.run(&["models", "pull", "faces", "--from", text(self.folder.path())])
    }
}

/// Names a port of this computer among the places that may be called.
fn allow(home: &Home, port: u16) {
    let config = home.path().join("signet.toml");
    let text = std::fs::read_to_string(&config).expect("signet.toml");
    let (before, after) = text.split_once("\nallow = [").expect("a list");
    std::fs::write(&config, format!("{before}\nallow = [\"127.0.0.1:{port}\", {after}"))
        .expect("written");
}

const PAIR: [&[u8]; 2] = [b"one network, which finds faces", b"another, which tells them apart"];

#[test]
fn network_that_broke_off_is_begun_anew_and_one_that_is_here_is_not_fetched_again() {
    let (home, pair) = (home(), Pair::new(PAIR));
    let server = pair.serve(&home, &[Answer::Half]);
    let pulled = pair.pull(&home).done().stdout;
    assert!(pair.is_in(&home), "{pulled}");
    // What it is and what it learned from is told before anything is used.
    assert!(pulled.contains("licence Apache-2.0; learned from WIDER FACE"), "{pulled}");
    let [one, other] = [0, 1].map(|index: usize| pair.files[index].0.clone());
    assert_eq!(server.asked(), [one.clone(), one, other]);

    let verified = home.run(&["models", "verify"]).done().stdout;
    assert_eq!(verified.matches("as listed").count(), 5, "{verified}");
    let again =
        home.run(&["--json", "models", "pull", "faces", "--from", text(pair.folder.path())]);
    let again = again.done().json();
    assert!(again.iter().all(|row| row["fetched"] == false), "{again:?}");
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn pull_that_fails_says_how_to_do_without_the_network_and_changes_nothing() {
    let (home, pair) = (home(), Pair::new(PAIR));
    let by_hand = ["signet models pull faces --from DIR", "signet models list"];
    let check = |pair: &Pair, home: &Home, why: &str| {
        let failed = pair.pull(home);
        check_refused(&failed, 1, &[&[why][..], &by_hand].concat());
        assert_eq!(failed.stderr.trim_end().lines().count(), 1, "{}", failed.stderr);
        assert!(!home.path().join("models/faces/model.toml").exists(), "{why}");
    };
    // Nobody said that this computer may be called.
    pair.name_addresses(9);
    check(&pair, &home, "allow");
    let server = pair.serve(&home, &[Answer::Missing]);
    check(&pair, &home, "404");
    let halves = [Answer::Half, Answer::Half];
    let _server = pair.serve(&home, &halves);
    check(&pair, &home, "cannot be fetched");
    let _server = pair.serve(&home, &[Answer::Altered, Answer::Altered]);
    check(&pair, &home, "SHA-256");
    // The first came whole: only the second is asked for after that.
    let server_of_one = pair.serve(&home, &[Answer::Whole, Answer::Missing]);
    check(&pair, &home, "404");
    assert_eq!(server_of_one.asked().len(), 2);
    let server_of_other = pair.serve(&home, &[]);
    pair.pull(&home).done();
    assert_eq!(server_of_other.asked(), [pair.files[1].0.clone()]);
    assert!(pair.is_in(&home));
    drop(server);

    // Nobody listens there: a pair that is in use stays.
    let next = Pair::new([b"a newer network", b"and its companion"]);
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
    next.name_addresses(closed);
    allow(&home, closed);
    check_refused(&next.pull(&home), 1, &by_hand);
    home.run(&["models", "verify"]).done();
    // From a folder, without any network.
    next.name_addresses(0);
    for (name, bytes) in &next.files {
        next.folder.write(name, bytes);
    }
    next.pull(&home).done();
    assert!(next.is_in(&home));
    check_refused(
        &home.run(&["models", "pull", "faces", "--from", "nowhere"]),
        2,
        &["there is no folder `nowhere`"],
    );
}

#[test]
fn without_face_networks_icons_work_and_each_command_says_how_to_get_them() {
    let home = home();
    home.write("photo.jpg", sample("meadow"));
    let listed = home.run(&["models", "list"]).done().stdout;
    assert!(listed.contains("not here") && listed.contains("https://"), "{listed}");
    let found = |doctor: &Run, part: &str| -> Vec<(bool, String)> {
        let lines = doctor.json().into_iter().filter(|line| line["part"] == part);
        let words = |line: &Value| line["text"].as_str().expect("a text").to_owned();
        lines.map(|line| (line["good"] == true, words(&line))).collect()
    };
    let doctor = home.run(&["--json", "doctor"]).done();
    let faces = found(&doctor, "faces");
    assert!(faces.len() == 1 && faces[0].0, "{faces:?}");
    assert!(faces[0].1.contains("`signet models pull faces`"), "{faces:?}");
    assert_eq!(found(&doctor, "people"), []);
    let look = home.run(&["--json", "look", "photo.jpg"]).done().json();
    assert_eq!(look[0]["faces"], Value::Array(Vec::new()));
    assert!(look[0]["icons"].as_array().is_some_and(|icons| !icons.is_empty()), "{look:?}");
    let add = ["people", "add", "Anna", "photo.jpg", "b.jpg", "c.jpg", "--consent-by", "Anna"];
    check_refused(&home.run(&add), 1, &["`signet models pull faces`"]);

    // Altered ones are named with the cure, not taken for the library.
    let pair = Pair::new(PAIR);
    for (name, bytes) in &pair.files {
        pair.folder.write(name, bytes);
    }
    pair.pull(&home).done();
    home.write(&format!("models/faces/{}", pair.files[1].0), "cut");
    let doctor = home.run(&["--json", "doctor"]);
    let faces = found(&doctor, "faces");
    assert!(doctor.code == 1 && faces.len() == 1 && !faces[0].0, "{doctor:?}");
    assert!(faces[0].1.contains(&pair.files[1].0) && faces[0].1.contains("pull faces"));
    assert_eq!(found(&doctor, "onnxruntime"), []);
}

// Enrolling people -----------------------------------------------------------------------

/// A home with the shared networks pulled into it, and the folder of portraits.
fn with_networks(home: &Home) -> Option<PathBuf> {
    let (networks, portraits) = (shared("models")?, shared("faces")?);
    home.run(&["models", "pull", "faces", "--from", text(&networks)]).done();
    Some(portraits)
}

/// Arguments that enrol somebody from portraits.
fn add(folder: &Path, name: &str, pictures: &[&str], more: &[&str]) -> Vec<String> {
    let mut args: Vec<String> = ["--json", "people", "add", name].map(str::to_owned).to_vec();
    args.extend(pictures.iter().map(|picture| text(&folder.join(picture)).to_owned()));
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    args
}

const HEART: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="currentColor"><path d="M12 21C4 14 2 10 2 7A5 5 0 0 1 12 6A5 5 0 0 1 22 7C22 10 20 14 12 21Z"/></svg>"#;

/// Portraits of one public figure, and of another.
const HERS: [&str; 5] = ["img1.jpg", "img2.jpg", "img4.jpg", "img5.jpg", "img6.jpg"];
const OTHERS: [&str; 3] = ["img13.jpg", "img14.jpg", "img15.jpg"];

#[test]
fn person_is_enrolled_from_pictures_that_are_good_and_each_other_one_is_told_why() {
    let home = home();
    let Some(portraits) = with_networks(&home) else { return };
    let agreed = ["--consent-by", "Anna herself"];
    let copy = home.write("copy.jpg", std::fs::read(portraits.join("img1.jpg")).expect("it"));
    home.write("meadow.jpg", sample("meadow"));
    let (copy, couple) = (text(&copy).to_owned(), text(&portraits.join("couple.jpg")).to_owned());

    // Too few that agree, and a consent that is over.
    let few = add(&portraits, "Anna", &[HERS[0], OTHERS[0], HERS[1]], &agreed);
    let few = home.run(&few);
    check_refused(&few, 1, &["2 of 3 pictures can be taken, and 3 are needed"]);
    check_refused(&few, 1, &["img13.jpg`: it looks like somebody else than the others"]);
    let over = ["--consent-by", "Anna", "--until", "2020-01-01"];
    check_refused(&home.run(&add(&portraits, "Anna", &HERS, &over)), 2, &["--until"]);
    check_refused(&home.run(&add(&portraits, "Anna", &HERS, &[])), 2, &["--consent-by"]);
    check_refused(&home.run(&add(&portraits, "Anna", &HERS[..2], &agreed)), 2, &["3 to 10"]);
    check_refused(&home.run(&add(&portraits, "mug", &HERS, &agreed)), 2, &["`mug` is an icon"]);

    // Each picture that is left out is named with the reason.
    let more = [&agreed[..], &[&*copy, "meadow.jpg", &*couple]].concat();
    let added = home.run(&add(&portraits, "Anna", &HERS, &more)).done();
    let row = &added.json()[0];
    assert_eq!((&row["pictures"], row["refused"].as_array().map(Vec::len)), (&5.into(), Some(3)));
    for part in ["copy.jpg`: the same picture as", "meadow.jpg`: no face is found", "#1'` takes"] {
        assert!(added.stderr.contains(part), "no `{part}` in {}", added.stderr);
    }
    let taken = home.run(&add(&portraits, "Anna", &HERS, &agreed));
    check_refused(&taken, 2, &["--more", "people renew"]);
    check_refused(&home.run(&add(&portraits, "anna", &OTHERS, &agreed)), 2, &["`Anna`"]);

    // More pictures of hers, and of nobody else.
    let more = home.run(&add(&portraits, "Anna", &["img7.jpg", "img13.jpg"], &["--more"])).done();
    assert_eq!(more.json()[0]["pictures"], 1);
    assert!(more.stderr.contains("somebody else than Anna"), "{}", more.stderr);
    let again = home.run(&add(&portraits, "Anna", &["img7.jpg"], &["--more"]));
    check_refused(&again, 1, &["a picture that was taken before"]);

    // Her again, under another name: the two would be taken for each other.
    let twin = add(&portraits, "Twin", &["img7.jpg", "img10.jpg", "img11.jpg"], &agreed);
    let twin = home.run(&twin).done().json().remove(0);
    assert_eq!(twin["alike"][0][0], "Anna", "{twin}");
    home.write("heart.svg", HEART);
    check_refused(&home.run(&["icons", "add", "twin", "heart.svg"]), 2, &["`Twin` is enrolled"]);

    // Until when, and who says so.
    let renew = ["people", "renew", "Anna", "--consent-by", "Her mother", "--until"];
    home.run(&[&renew[..], &["2099-12-31"]].concat()).done();
    let list = home.run(&["people", "list"]).done().stdout;
    for part in ["Anna", "6 pictures", "agreed by Her mother", "until 2099-12-31", "recognised"] {
        assert!(list.contains(part), "no `{part}` in {list}");
    }
    let doctor = home.run(&["doctor"]).done().stdout;
    assert!(doctor.contains("2 enrolled, 2 recognised"), "{doctor}");

    // From the moment at which a consent ends nothing goes on, until it is renewed.
    let inside = signet::base::home::Home::at(home.path());
    let ended = PeopleBook::change(&inside, "Anna", |anna| anna.consent_until = Timestamp(1));
    ended.expect("changed");
    let more = add(&portraits, "Anna", &["img10.jpg"], &["--more"]);
    check_refused(&home.run(&more), 1, &["the consent of `Anna` is over", "people renew"]);
    let doctor = home.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.stdout.contains("consent is over: Anna"), "{doctor:?}");
    let seen = || -> Value {
        let look = ["--json", "look", text(&portraits.join(HERS[0]))].map(str::to_owned);
        home.run(&look).done().json()[0]["faces"][0]["person"].clone()
    };
    assert_ne!(seen(), "Anna");
    home.run(&["people", "renew", "Anna", "--consent-by", "Anna"]).done();
    assert_eq!(seen(), "Anna");
}

#[test]
fn face_among_several_is_named_by_the_number_that_look_gives_it() {
    let home = home();
    let Some(portraits) = with_networks(&home) else { return };
    // A watched collection with a photo of a couple.
    let watched = home.path().join("album");
    std::fs::create_dir_all(&watched).expect("a folder");
    for name in ["couple.jpg", "img1.jpg"] {
        std::fs::copy(portraits.join(name), watched.join(name)).expect("copied");
    }
    let config = home.path().join("signet.toml");
    let collection = format!("\n[[collection]]\nname = \"trips\"\npath = '{}'\n", text(&watched));
    let mut toml = std::fs::read_to_string(&config).expect("signet.toml");
    toml.push_str(&collection);
    std::fs::write(&config, toml).expect("written");

    // `people add` counts as `look` does.
    let eyes = Eyes::open(None, Some(&signet::base::home::Home::at(home.path()))).expect("eyes");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_signet"));
    let decoder = Decoders::of_program(program, ["decode-worker"]).decoder();
    let mut analyst = Analyst::new(&eyes).expect("an analyst").with_decoder(decoder);
    for (name, least) in [("couple.jpg", 2), ("selfie-many-people.jpg", 4)] {
        let path = portraits.join(name);
        let look = home.run(&["--json", "look", text(&path)]).done().json().remove(0);
        let faces = look["faces"].as_array().expect("faces");
        assert!(faces.len() >= least, "{name}: {faces:?}");
        let mut original = SharedBytes::default();
        read_shared(&path, u64::MAX, &mut original).expect("read");
        let seen = analyst.faces(&original).expect("faces");
        assert_eq!(faces.len(), seen.len(), "{name}");
        let shares = |lefts: Vec<f64>| -> Vec<f64> {
            assert!(lefts.is_sorted(), "{name}: {lefts:?}");
            lefts.iter().map(|left| left / lefts.last().expect("a face")).collect()
        };
        let left = |face: &Value| face["box"][0].as_f64().expect("a number");
        let told = shares(faces.iter().map(left).collect());
        let taken = shares(seen.iter().map(|seen| f64::from(seen.face.bounds[0])).collect());
        for (number, ((face, told), taken)) in (1..).zip(faces.iter().zip(told).zip(taken)) {
            assert_eq!(face["number"], number, "{name}");
            assert!((told - taken).abs() < 1e-3, "{name}: {told} {taken}");
        }
    }

    // A face of a photo in a collection, as `signet run` names it.
    let from = ["--consent-by", "x", "--from", "trips/couple.jpg#2"];
    let pictures = ["img1.jpg", "img2.jpg"];
    let strangers = home.run(&add(&portraits, "Right", &pictures, &from));
    assert!(strangers.stderr.contains("trips/couple.jpg#2"), "{}", strangers.stderr);
    let none = ["--consent-by", "x", "--from", "trips/couple.jpg#3"];
    let none = home.run(&add(&portraits, "Right", &pictures, &none));
    check_refused(&none, 1, &["trips/couple.jpg#3`: there are 2 faces, counted from the left"]);
    check_refused(
        &home.run(&add(&portraits, "Right", &pictures, &["--consent-by", "x", "--from", "a.jpg"])),
        2,
        &["`a.jpg` should be PICTURE#N"],
    );
}

// Rules that name people -----------------------------------------------------------------

#[test]
fn running_agent_learns_whom_rules_may_name_and_forgets_without_harm() {
    let world = World::new();
    let Some(portraits) = with_networks(&world.owner) else { return };
    let mut agent = world.start_agent();
    let rule = "[[rule]]\nname = \"anna\"\nwhen = 'has(\"Anna\")'\nkeep = true\n";
    world.owner.write("rules/people.toml", rule);
    // Nobody has that name yet: what was in force stays so.
    let refused = agent.line_with("no icon `Anna`");
    assert!(refused.contains(r#""file":"people.toml","line":3"#), "{refused}");
    let args = add(&portraits, "Anna", &HERS, &["--consent-by", "Anna"]);
    world.owner.run(&args).done();
    agent.line_with("faces of 1 people");
    agent.next_line_with(r#""mistakes":[]"#);
    world.owner.run(&["rules", "check"]).done();

    world.owner.run(&["people", "remove", "Anna"]).done();
    agent.line_with("faces of 0 people");
    agent.next_line_with("no icon `Anna`");
    // Orders still follow from the other rules, also after a restart.
    let _lab = world.start_lab();
    world.drop_photo("meadow.jpg", &sample("meadow"));
    world.wait_orders(1, "done");
    agent.kill();
    let _agent = world.start_agent();
    world.drop_photo("breakfast.jpg", &sample("breakfast"));
    world.wait_orders(2, "done");
}

#[test]
fn list_that_names_somebody_who_is_not_enrolled_is_a_warning() {
    let home = home();
    let path = home.write(
        "mine.toml",
        "[people]\nfamily = [\"Oma Erna\"]\n[[rule]]\nname = \"a\"\nwhen = 'any(family)'\nkeep = true\n",
    );
    let checked = home.run(&["rules", "check", text(&path)]).done();
    assert!(
        checked.stderr.contains("mine.toml:2: nobody is enrolled as `Oma Erna`"),
        "{checked:?}"
    );
    assert!(checked.stdout.contains("1 warning"), "{checked:?}");
}
