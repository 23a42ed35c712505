//! Photos with an icon on them end in a lab's folder: by the real program, with a controller that
//! takes folders away, a share that is not mounted, and `kill -9` at random moments.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use signet::media::dpof;

use crate::common::{skipped, wait_for};
use crate::world::{World, sample, variant};

/// A world whose lab is a folder: the owner agrees to a provider's file of their own.
fn world_with(target: &str) -> World {
    let world = World::new();
    let card = world.owner.path().join("folder-lab.toml");
    let text = format!(
        "signet = 'provider/1'\nname = 'lab'\ncurrency = 'EUR'\n[target]\n{target}\n\
         [fees]\noriginal_minor = 25\n[products.print-10x15]\nprice_minor = 29\ncode = '12'\n\
         size_mm = [102, 152]\nfinish = 'glossy'\n"
    );
    fs::write(&card, text).expect("written");
    world.owner.run(&["--yes", "consent", "allow", card.to_str().expect("plain")]).done();
    world
}

/// What lies in a folder and is not hidden.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| !name_of(path).starts_with('.'));
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// The bytes of the pictures that a folder's print order names, with their copies.
fn printed(folder: &Path) -> Vec<(Vec<u8>, u16)> {
    let misc = folder.join("MISC");
    let marks = dpof::parse(&fs::read(misc.join("AUTPRINT.MRK")).expect("a print order"), None);
    assert!(marks.notes.is_empty(), "{:?}", marks.notes);
    let picture = |job: &dpof::PrintJob| {
        let path = dpof::resolve(Path::new("MISC"), &job.images[0]).expect("below the folder");
        (fs::read(folder.join(path)).expect("the picture"), job.copies)
    };
    marks.jobs.iter().map(picture).collect()
}

fn reason(world: &World) -> String {
    world.orders().iter().map(|order| order["reason"].to_string()).collect()
}

#[test]
fn photo_with_an_icon_lies_complete_in_the_folder_of_a_kiosk() {
    let lab = tempfile::tempdir().expect("a folder");
    let world = world_with(&format!(
        "kind = 'hot-folder'\nfolder = '{}'\ndialect = 'dpof'",
        lab.path().display()
    ));
    let _agent = world.start_agent();
    let photo = sample("meadow");
    world.drop_photo("Käthe's photo.jpg", &photo);
    world.wait_orders(1, "done");
    let folders = entries(lab.path());
    assert_eq!(folders.len(), 1, "{folders:?}");
    assert_eq!(printed(&folders[0]), [(photo, 1)]);
    // The original was handed over, which is an access and is paid for.
    assert_eq!(world.report("access").len(), 1);
}

#[test]
fn controller_that_renames_a_folder_tells_that_the_order_is_done() {
    let lab = tempfile::tempdir().expect("a folder");
    let world = world_with(&format!(
        "kind = 'hot-folder'\nfolder = '{}'\ndialect = 'noritsu'\n[target.change.words]\n\
         back_1 = '%copies% copies for %owner%'",
        lab.path().display()
    ));
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    world.wait_orders(1, "accepted");
    let folder = entries(lab.path()).remove(0);
    let name = name_of(&folder);
    assert!(name.starts_with('o') && name.ends_with("_012"), "{name}");
    let text = fs::read_to_string(folder.join("MISC/AUTPRINT.MRK")).expect("a print order");
    assert!(text.contains("PRT CVP1 = 1 -STR \"1 copies for Ada\"\r\n"), "{text}");
    let done = name.replacen('o', "e", 1);
    fs::rename(&folder, lab.path().join(done)).expect("renamed");
    world.wait_orders(1, "done");
    assert!(reason(&world).contains("is done with it"), "{}", reason(&world));
}

#[test]
fn order_waits_for_a_share_that_is_not_mounted() {
    let place = tempfile::tempdir().expect("a folder");
    let lab = place.path().join("share");
    let world =
        world_with(&format!("kind = 'hot-folder'\nfolder = '{}'\ndialect = 'fuji'", lab.display()));
    let mut agent = world.start_agent();
    let photo = sample("meadow");
    world.drop_photo("IMG_1.jpg", &photo);
    agent.line_with("mount the share");
    assert!(!lab.exists(), "the folder of somebody else is not made");
    fs::create_dir(&lab).expect("made");
    world.wait_orders(1, "done");
    let folders = entries(&lab);
    assert_eq!(folders.len(), 1);
    let names: Vec<String> = entries(&folders[0]).iter().map(|path| name_of(path)).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!((names[0].as_str(), names[1].as_str()), ("Condition.txt", "End.txt"));
    assert_eq!(fs::read(folders[0].join(&names[2])).expect("the photo"), photo);
}

/// A disk of a test's own; gone with it.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` where this user may not mount one.
    fn with_room_for(kib: u32) -> Option<Self> {
        let disk = Self(tempfile::tempdir().expect("a folder"));
        let is_mounted = disk.mount(&format!("size={kib}k"));
        is_mounted.then_some(disk)
    }

    fn mount(&self, options: &str) -> bool {
        let mut mount = Command::new("mount");
        let run = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.0.path()).output();
        run.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a program of the test may still look at it.
        let _gone = Command::new("umount").arg("--lazy").arg(self.0.path()).output();
    }
}

#[test]
fn full_disk_of_a_lab_leaves_nothing_there_and_the_order_waits() {
    let Some(disk) = Disk::with_room_for(64) else {
        skipped("no disk may be mounted here");
        return;
    };
    let lab = disk.0.path();
    let world =
        world_with(&format!("kind = 'hot-folder'\nfolder = '{}'\ndialect = 'dpof'", lab.display()));
    let mut agent = world.start_agent();
    let photo = sample("meadow");
    world.drop_photo("IMG_1.jpg", &photo);
    agent.line_with("No space left");
    assert_eq!(entries(lab).len(), 0);
    assert!(disk.mount("remount,size=16m"));
    world.wait_orders(1, "done");
    assert_eq!(printed(&entries(lab)[0]), [(photo, 1)]);
}

#[test]
fn dialect_that_makes_no_sense_is_not_agreed_to() {
    let world = World::new();
    let card = world.owner.path().join("folder-lab.toml");
    for (target, mistake) in [
        ("folder = '/lab'\ndialect = 'kodak'", "no dialect `kodak`"),
        ("folder = 'lab'\ndialect = 'fuji'", "`lab` has to begin at the root"),
        ("folder = '/lab'\ndialect = 'fuji'\nchange = { sentinal = 'x' }", "`sentinal`"),
    ] {
        let text = format!(
            "signet = 'provider/1'\nname = 'lab'\ncurrency = 'EUR'\n[target]\n\
             kind = 'hot-folder'\n{target}\n"
        );
        fs::write(&card, text).expect("written");
        let run = world.owner.run(&["--yes", "consent", "allow", card.to_str().expect("plain")]);
        assert_eq!(run.code, 1, "{run:#?}");
        assert!(run.stderr.contains(mistake), "{}", run.stderr);
    }
}

#[test]
fn killed_while_it_hands_over_every_wish_is_one_folder() {
    const KILLS_COUNT: usize = 12;
    let lab = tempfile::tempdir().expect("a folder");
    let world = world_with(&format!(
        "kind = 'hot-folder'\nfolder = '{}'\ndialect = 'noritsu'",
        lab.path().display()
    ));
    let photo = sample("meadow");
    drop(world.start_agent());
    let mut photos = Vec::new();
    let mut taken: BTreeMap<String, Vec<(Vec<u8>, u16)>> = BTreeMap::new();
    // The lab's controller: takes what is there, whole, and leaves nothing of it.
    let mut take = || {
        for folder in entries(lab.path()) {
            let pictures = printed(&folder);
            fs::remove_dir_all(&folder).expect("taken away");
            let again = taken.insert(name_of(&folder), pictures);
            assert!(again.is_none(), "{folder:?} was there twice");
        }
        taken.len()
    };
    for number in 0..KILLS_COUNT {
        let bytes = variant(&photo, number);
        world.drop_photo(&format!("IMG_{number}.jpg"), &bytes);
        photos.push(bytes);
        let mut agent = world.start_agent_unready();
        // From before the photo is looked at to after its folder lies there.
        std::thread::park_timeout(Duration::from_millis(150 + 137 * number as u64));
        agent.kill();
        take();
    }
    let _agent = world.start_agent();
    wait_for("all folders", || (take() >= KILLS_COUNT).then_some(()));
    world.wait_orders(KILLS_COUNT, "done");
    assert_eq!(take(), KILLS_COUNT);
    let mut printed: Vec<Vec<u8>> = Vec::new();
    for pictures in taken.into_values() {
        assert_eq!(pictures.len(), 1);
        printed.extend(pictures.into_iter().map(|(bytes, _)| bytes));
    }
    printed.sort();
    photos.sort();
    assert!(printed == photos, "each photo once");
    assert_eq!(world.report("access").len(), KILLS_COUNT);
}

#[test]
fn job_ticket_names_an_address_from_which_the_photo_is_fetched() {
    let lab = tempfile::tempdir().expect("a folder");
    let world = world_with(&format!("kind = 'xjdf'\nfolder = '{}'", lab.path().display()));
    let _agent = world.start_agent();
    let photo = sample("meadow");
    world.drop_photo("IMG_1.jpg", &photo);
    let orders: Vec<Value> = world.wait_orders(1, "accepted");
    assert!(orders[0]["reason"].to_string().contains("job ticket"), "{orders:?}");
    let tickets = entries(lab.path());
    assert_eq!(tickets.len(), 1);
    let text = fs::read_to_string(&tickets[0]).expect("a ticket");
    let ticket = roxmltree::Document::parse(&text).expect("XML");
    let file = ticket.descendants().find(|node| node.has_tag_name("FileSpec")).expect("a file");
    assert_eq!(file.attribute("FileSize"), Some(photo.len().to_string().as_str()));
    let url = file.attribute("URL").expect("an address");
    let mut answer = ureq::get(url).call().expect("an answer");
    let body = answer.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body");
    assert!(body == photo);
    world.wait_orders(1, "done");
}
