//! Somebody who is removed is in no byte of the home any more, whatever the agent was doing; and who
//! is in a photo is told to nobody outside. With real faces and networks.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::{Service, shared, wait_for};
use crate::world::{World, variant};

/// A name that is nowhere by chance.
const NAME: &str = "Zyxwanna";

/// Pictures of one person to enrol her from.
const ENROLLED: [&str; 5] = ["img1.jpg", "img2.jpg", "img4.jpg", "img5.jpg", "img6.jpg"];

/// An order, and a wall at home, for whoever is called [`NAME`].
const RULES: &str = "# Zyxwanna said yes
[people]
friends = ['Zyxwanna']

[[rule]]
name = 'prints-of-friends'
when = 'seen(friends)'
order = { product = 'print-10x15', provider = 'lab' }
reason = 'Zyxwanna is on it'
hold = '0'

[[rule]]
name = 'wall'
when = 'has(\"Zyxwanna\")'
note = 'Zyxwanna is there'

[[rule]]
name = 'nobody'
when = '!seen(friends)'
note = 'none of them is there'
";

/// The rules of an owner who changed them since.
const RULES_WITHOUT: &str = "
[[rule]]
name = 'faces'
when = 'unknown_faces > 0'
note = 'somebody is there'
";

struct Stage {
    world: World,
    faces: PathBuf,
}

impl Stage {
    /// A world in which somebody is enrolled; `None`, told, without the shared pictures and networks.
    fn set(rules: &str) -> Option<Self> {
        let (faces, models) = (shared("faces")?, shared("models")?);
        let world = World::new();
        let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
        world.owner.run(&["models", "pull", "faces", "--from", &text(&models)]).done();
        let pictures = ENROLLED.map(|name| text(&faces.join(name)));
        let mut add = vec!["people", "add", NAME, "--consent-by", NAME];
        add.extend(pictures.iter().map(String::as_str));
        world.owner.run(&add).done();
        for name in ["family.toml", "family.cases.toml"] {
            let path = world.owner.path().join("rules").join(name);
            std::fs::remove_file(path).expect("removed");
        }
        world.owner.write("rules/own.toml", rules);
        Some(Self { world, faces })
    }

    /// Another file with the same face.
    fn drop_face(&self, number: usize) -> String {
        let picture = ["img7.jpg", "img10.jpg", "img11.jpg"][number % 3];
        let bytes = std::fs::read(self.faces.join(picture)).expect("a picture");
        let name = format!("face-{number}.jpg");
        self.world.drop_photo(&name, &variant(&bytes, number));
        name
    }

    /// Waits until a photo was judged.
    fn wait_judged(&self, number: usize) {
        let path = self.world.watched().join(format!("face-{number}.jpg"));
        let path = path.to_str().expect("a plain path");
        wait_for("a photo that was judged", || {
            let told = self.world.owner.run(&["--json", "rules", "explain", path]);
            (told.code == 0 && !told.json()[0]["last"].is_null()).then_some(())
        });
    }

    fn remove(&self, more: &[&str]) -> Value {
        let args = [&["--json", "people", "remove", NAME], more].concat();
        self.world.owner.run(&args).done().json().remove(0)
    }

    /// No file of the home holds the name, but for the owner's rule files and the copies that are
    /// made of them whenever they are used.
    #[track_caller]
    fn assert_forgotten(&self) {
        let home = self.world.owner.path();
        let owners = [home.join("rules"), home.join("rules-in-force")];
        let mut left = files_with(home, NAME);
        left.retain(|path| !owners.iter().any(|folder| path.starts_with(folder)));
        assert_eq!(left, Vec::<PathBuf>::new(), "the name is still there");
    }
}

/// All files below a folder in which some bytes stand; also those whose name has them.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
            continue;
        }
        // One that is being renamed is listed anew by nobody: the agent is quiet when this is asked.
        let bytes = std::fs::read(&path).unwrap_or_default();
        let in_bytes = bytes.windows(text.len()).any(|part| part == text.as_bytes());
        if in_bytes || path.to_string_lossy().contains(text) {
            found.push(path);
        }
    }
    found
}

fn names_of(files: &[PathBuf]) -> Vec<String> {
    files
        .iter()
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect()
}

#[test]
fn person_removed_while_the_agent_looks_at_photos_of_her_is_in_no_file_of_the_home() {
    let Some(stage) = Stage::set(RULES) else { return };
    let owner = &stage.world.owner;
    let (_lab, mut agent) = (stage.world.start_lab(), stage.world.start_agent());
    for number in 0..3 {
        stage.drop_face(number);
    }
    (0..3).for_each(|number| stage.wait_judged(number));
    assert_eq!(stage.world.orders().len(), 3, "three photos of her, three orders");
    let before = names_of(&files_with(owner.path(), NAME));
    for file in ["index.sqlite", "decisions.sqlite", "state.sqlite", "own.toml"] {
        assert!(before.iter().any(|name| name.starts_with(file)), "{file} of {before:?}");
    }

    // Photos are looked at with the old gallery while she is removed, and after.
    let removed = std::thread::scope(|scope| {
        scope.spawn(|| (3..9).for_each(|number| drop(stage.drop_face(number))));
        stage.remove(&[])
    });
    assert_eq!(removed["removed"], json!([NAME]));
    assert!(removed["erased"]["photos"].as_u64() >= Some(3), "{removed}");
    assert!(removed["erased"]["orders"].as_u64() >= Some(3), "{removed}");
    assert!(removed["erased"]["decisions"].as_u64() >= Some(3), "{removed}");
    let lines = removed["yours"]["rule_lines"].as_array().expect("lines");
    let lines: Vec<u64> = lines.iter().map(|line| line["line"].as_u64().expect("one")).collect();
    assert_eq!(lines, [1, 3, 9, 14, 15]);
    (3..9).for_each(|number| drop(agent.line_with(&format!("face-{number}.jpg"))));
    // What came before is judged before.
    stage.drop_face(9);
    stage.wait_judged(9);
    stage.assert_forgotten();

    // The rules that name her are never true any more, and the others go on.
    let path = stage.world.watched().join("face-9.jpg");
    let explain = ["--json", "rules", "explain", path.to_str().expect("a plain path")];
    let told = owner.run(&explain).done().json().remove(0);
    assert_eq!(
        (&told["facts"]["people"], &told["facts"]["unknown_faces"]),
        (&json!([]), &json!(1))
    );
    let answers = told["rules"].as_array().expect("rules").iter();
    let answers: Vec<&Value> = answers.map(|story| &story["answer"]).collect();
    assert_eq!(answers, ["does-not-apply", "does-not-apply", "applies"], "{told}");
    // Her orders stay as they were, for the owner to decide about; one is taken back.
    let key = stage.world.orders()[0]["order_key"].as_str().expect("a key").to_owned();
    owner.run(&["orders", "cancel", &key]).done();

    // What is decided by rules that do not name her any more can be made again, and what cannot is
    // told of.
    let replayed = owner.run(&["--json", "rules", "replay"]).done().json();
    let last = replayed.last().expect("a line");
    assert_eq!(
        (last["odd_count"].as_u64(), &last["erased_count"]),
        (Some(0), &removed["erased"]["decisions"])
    );

    // A second time nobody is known by that name.
    let again = owner.run(&["people", "remove", NAME]);
    assert!(again.code == 2 && again.stderr.contains("nobody is enrolled"), "{again:?}");
    assert!(owner.run(&["--json", "people", "list"]).done().json().is_empty());

    // The owner takes her out of the rules, too; then what was copied of them goes.
    owner.write("rules/own.toml", RULES_WITHOUT);
    agent.next_line_with("\"mistakes\":[]");
    agent.kill();
    let again = stage.remove(&["--again"]);
    assert_eq!((&again["removed"], &again["yours"]["rule_lines"]), (&json!([]), &json!([])));
    assert_eq!(files_with(owner.path(), NAME), Vec::<PathBuf>::new());
    let mut agent = stage.world.start_agent();
    let name = stage.drop_face(10);
    agent.line_with(&name);
    agent.line_with("somebody is there");
    agent.kill();
    assert_eq!(files_with(owner.path(), NAME), Vec::<PathBuf>::new());
}

#[test]
fn person_removed_while_no_agent_runs_and_after_its_crash_is_in_no_file_of_the_home() {
    let Some(stage) = Stage::set(RULES) else { return };
    let owner = &stage.world.owner;
    let mut agent = stage.world.start_agent();
    for number in 0..4 {
        stage.drop_face(number);
    }
    stage.wait_judged(0);
    // In the middle of what it does: logs are full, nothing is settled.
    agent.kill();
    let damaged = std::fs::read(owner.path().join("index.sqlite")).expect("read");
    owner.write("index.sqlite.damaged", [damaged.as_slice(), NAME.as_bytes()].concat());
    owner.write("decisions.sqlite.damaged", "of somebody else");
    // A removal that is stopped on the way leaves her enrolled, or is done.
    owner.start(&["people", "remove", NAME]).kill();
    let is_enrolled = !owner.run(&["--json", "people", "list"]).done().json().is_empty();
    stage.remove(if is_enrolled { &[] } else { &["--again"] });
    stage.assert_forgotten();
    assert!(owner.path().join("decisions.sqlite.damaged").exists());
    // The networks may be gone as well: they are of no use for this.
    std::fs::remove_dir_all(owner.path().join("models")).expect("removed");
    let again = owner.run(&["people", "remove", NAME, "Nobody"]);
    assert!(again.code == 2 && again.stderr.contains("`Nobody`"), "{again:?}");
    stage.remove(&["--again"]);
    owner.write("rules/own.toml", RULES_WITHOUT);
    let agent = stage.world.start_agent();
    stage.drop_face(4);
    settled(agent, "face-4.jpg");
    stage.assert_forgotten();
}

/// Lets an agent see a photo and ends it.
fn settled(mut agent: Service, name: &str) {
    agent.line_with(name);
    agent.kill();
}

#[test]
fn nobody_outside_is_told_who_is_on_a_photo() {
    let rules = "[people]\nfriends = ['Zyxwanna']\n
[[rule]]\nname = 'prints'\nwhen = 'seen(friends)'\nhold = '0'
order = { product = 'print-10x15', provider = 'lab' }\n
[[rule]]\nname = 'previews'\nwhen = 'seen(friends)'\nhold = '0'
share = { provider = 'lab' }\n";
    let Some(stage) = Stage::set(rules) else { return };
    let world = &stage.world;
    let (mut lab, mut agent) = (world.start_lab(), world.start_agent());
    stage.drop_face(0);
    for order in world.wait_orders(2, "ask") {
        let key = order["order_key"].as_str().expect("a key");
        world.owner.run(&["orders", "approve", key]).done();
    }
    world.wait_orders(2, "done");
    let filed = world.filed();
    assert_eq!(filed.values().map(|(_, files)| files.len()).sum::<usize>(), 2, "{filed:?}");
    // What was decided names her, so what is looked for is there to be found.
    assert!(!files_with(world.owner.path(), NAME).is_empty());
    assert_eq!(files_with(world.lab.path(), NAME), Vec::<PathBuf>::new());
    let previews = world.owner.path().join("previews");
    assert!(previews.is_dir());
    for folder in [previews, world.owner.path().join("grants"), world.owner.path().join("consent")]
    {
        assert_eq!(files_with(&folder, NAME), Vec::<PathBuf>::new());
    }
    let report = world.owner.run(&["--json", "report"]).done().stdout;
    assert!(report.contains("access") && !report.contains(NAME), "{report}");
    for service in [&mut lab, &mut agent] {
        let said = service.said();
        assert!(said.len() > 1 && !said.iter().any(|line| line.contains(NAME)), "{said:#?}");
    }
}
