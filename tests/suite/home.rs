//! The home folder and its files when things are not as they should be.

use crate::common::{Home, finish, shared, wait_for};
use crate::world::{World, sample};

#[test]
fn second_agent_on_the_same_home_is_refused() {
    let world = World::new();
    let _agent = world.start_agent();
    let second = world.owner.run(&["run"]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("another agent already runs"), "{}", second.stderr);
}

#[test]
fn command_without_a_home_names_the_cure() {
    let home = Home::new();
    for command in [&["run"][..], &["report"], &["orders", "list"]] {
        let run = home.run(command);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.stderr.contains("signet init"), "{}", run.stderr);
    }
}

#[test]
fn file_named_without_a_folder_is_written_where_the_user_is() {
    let home = Home::new();
    home.run(&["icons", "sheet", "--out", "sheet.pdf"]).done();
    home.run(&["lab", "invite", "Ada", "--card", "card.json"]).done();
    for (name, begin) in [("sheet.pdf", "%PDF"), ("card.json", "{")] {
        let bytes = std::fs::read(home.path().join(name)).expect("a file");
        assert!(bytes.starts_with(begin.as_bytes()), "{name}");
    }
}

#[test]
fn init_without_a_terminal_needs_a_yes_to_agree() {
    let world = World::new();
    let card = world.lab.path().join("card.json");
    let owner = Home::new();
    let card = card.to_str().expect("a path");
    let args = ["init", "--address", "mailto:a@example.org", "--provider", card];
    let run = owner.run(&args);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("--yes"), "{}", run.stderr);
    assert!(!owner.path().join("signet.toml").exists());
}

#[test]
fn damaged_rule_file_keeps_the_last_good_one_in_force() {
    let world = World::new();
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    let rules = world.owner.path().join("rules/family.toml");
    let good = std::fs::read_to_string(&rules).expect("rules");
    std::fs::write(&rules, good.replace("faint(\"share\")", "faint(\"shaer\")")).expect("written");
    let line = agent.line_with("mistakes\":[{");
    assert!(line.contains("\"line\":") && line.contains("\"column\":"), "{line}");
    assert!(line.contains("did you mean `share`"), "the nearest name is missing: {line}");
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    world.wait_orders(1, "done");
    drop(agent);

    // They also outlive a restart, and the agent says again what is wrong.
    let mut agent = world.start_agent_unready();
    agent.line_with("mistakes\":[{");
    world.drop_photo("IMG_2.jpg", &sample("breakfast"));
    world.wait_orders(2, "done");
    assert_eq!(world.owner.run(&["rules", "check"]).code, 1);
    std::fs::write(&rules, good).expect("mended");
    agent.line_with("mistakes\":[]");
}

#[test]
fn read_only_home_stops_with_a_clear_message() {
    let world = World::new();
    // As root, permissions bind nobody: a file stands where the database should be.
    let state = world.owner.path().join("state.sqlite");
    std::fs::create_dir(&state).expect("a folder in the way");
    let run = world.owner.run(&["run"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("state.sqlite"), "{}", run.stderr);
    assert_eq!(run.stderr.trim().lines().count(), 1, "{}", run.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_stops_the_agent_with_a_clear_message() {
    // A file system of one megabyte, where root may mount one.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path");
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1500k", "tmpfs", path]);
    if finish(&mut mount).code != 0 {
        crate::common::skipped("no right to mount a small file system");
        return;
    }
    let world = World::new();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).expect("a folder");
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(format!("{}/.", world.owner.path().display()))
        .arg(&home)
        .status()
        .expect("cp runs");
    assert!(copied.success());
    let filler = vec![0; 1 << 20];
    let mut number = 0;
    let mut size = filler.len();
    while size > 1024 {
        let written =
            std::fs::write(folder.path().join(format!("filler-{number}")), &filler[..size]);
        number += 1;
        if written.is_err() {
            size /= 2;
        }
    }
    let home = home.to_str().expect("a path");
    let run = world.owner.run(&["--home", home, "run"]);
    let unmounted = std::process::Command::new("umount").arg("-l").arg(path).status();
    assert!(unmounted.expect("umount runs").success());
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("full"), "{}", run.stderr);
}

#[test]
fn altered_consent_is_not_acted_on() {
    let world = World::new();
    let consent = world.owner.path().join("consent/1.jws");
    let text = std::fs::read_to_string(&consent).expect("a consent");
    let middle = text.len() / 2;
    let altered: String = text
        .char_indices()
        .map(|(at, c)| match (at == middle, c) {
            (true, 'A') => 'B',
            (true, _) => 'A',
            (false, c) => c,
        })
        .collect();
    std::fs::write(&consent, altered).expect("altered");
    let run = world.owner.run(&["run"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("1.jws") && run.stderr.contains("not believed"), "{}", run.stderr);
}

#[test]
fn every_hostile_file_gets_a_line_and_nothing_dies() {
    let Some(hostile) = shared("hostile") else { return };
    let home = Home::new();
    let run = finish(home.command(&["--json", "look"]).arg(&hostile));
    let lines = run.json();
    let files_count = count_files(&hostile);
    assert_eq!(lines.len(), files_count, "stderr: {}", run.stderr);
    for line in &lines {
        let error = line["error"].as_str();
        let width = line["width_px"].as_u64();
        assert!(error.is_some() != width.is_some(), "neither error nor result: {line}");
        assert!(error.is_none_or(|text| !text.contains("bug in signet")), "{line}");
    }
}

fn count_files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry"));
    entries.map(|entry| if entry.path().is_dir() { count_files(&entry.path()) } else { 1 }).sum()
}

#[test]
fn root_that_is_gone_is_offline_and_nothing_is_lost() {
    let world = World::new();
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    world.wait_orders(1, "done");
    let away = world.watched().with_extension("away");
    std::fs::rename(world.watched(), &away).expect("unplugged");
    agent.line_with(r#""online":false"#);
    std::fs::rename(&away, world.watched()).expect("plugged in");
    agent.line_with(r#""online":true"#);
    world.drop_photo("IMG_2.jpg", &sample("breakfast"));
    world.wait_orders(2, "done");
    wait_for("two accesses", || (world.report("access").len() == 2).then_some(()));
}
