//! Previews as providers get them: the size that a rule or a card asks for, nothing private.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::world::{World, sample, variant};

/// Photos whose previews exiftool looks at.
const TAGGED_COUNT: usize = 300;

#[test]
fn preview_has_the_size_and_format_that_a_rule_or_the_card_asks_for() {
    for (rule, card, expected) in [
        (", preview_px = 640", "", (640, "image/jpeg")),
        (", preview_px = 500, preview_format = 'webp'", "", (500, "image/webp")),
        ("", "long_side_px = 320\nformat = 'webp'", (320, "image/webp")),
        (", preview_px = 200", "long_side_px = 320\nformat = 'webp'", (200, "image/webp")),
    ] {
        let world = World::new();
        let lab = world.lab.path().join("lab.toml");
        let text = std::fs::read_to_string(&lab).expect("lab.toml");
        let (before, _) = text.split_once("[preview]").unwrap_or((&text, ""));
        std::fs::write(&lab, format!("{before}\n[preview]\n{card}\n")).expect("written");
        let card = world.lab.path().join("card-2.json");
        let card = card.to_str().expect("a plain path");
        world.lab.run(&["lab", "invite", "Ada", "--card", card]).done();
        world.owner.run(&["--yes", "consent", "allow", card, "--purpose", "share"]).done();
        world.owner.write(
            "rules/family.toml",
            format!("[[rule]]\nname = 's'\nwhen = 'true'\nshare = {{ provider = 'lab'{rule} }}\n"),
        );
        let _lab = world.start_lab();
        let _agent = world.start_agent();
        world.drop_photo("IMG_1.jpg", &sample("meadow"));
        let orders = world.wait_orders(1, "done");
        let (side, format) = expected;
        assert!(orders[0]["preview"].as_str().expect("its kind").starts_with(&side.to_string()));
        let filed = world.filed();
        let (event, files) = filed.values().next().expect("one order");
        assert_eq!(event["data"]["members"][0]["media_type"], format);
        let answer = read_tags(&files[0]);
        assert_eq!(answer["MIMEType"], format, "{answer:#}");
        let sides = ["ImageWidth", "ImageHeight"].map(|side| answer[side].as_u64().expect("px"));
        assert_eq!(sides.into_iter().max(), Some(side), "{answer:#}");
        assert_eq!(answer["WebStatement"], "mailto:ada@example.org");
        let name = files[0].file_name().expect("a name").to_string_lossy().into_owned();
        let ending = if format == "image/webp" { "-preview.webp" } else { "-preview.jpg" };
        assert!(name.ends_with(ending), "{name}");
    }
}

#[test]
fn previews_of_tagged_photos_tell_the_owners_address_and_nothing_else() {
    let world = World::new();
    let inputs = tempfile::tempdir().expect("a folder");
    let photo = sample("lake");
    for number in 0..TAGGED_COUNT {
        let path = inputs.path().join(format!("IMG_{number}.jpg"));
        std::fs::write(path, variant(&photo, number)).expect("written");
    }
    let private = [
        "-Exif:GPSLatitude=48.1",
        "-Exif:GPSLongitude=11.5",
        "-Exif:SerialNumber=SN-4711",
        "-Exif:LensSerialNumber=LN-4712",
        "-Exif:OwnerName=Someone Private",
        "-Exif:Artist=Someone Private",
        "-Exif:ImageUniqueID=00112233445566778899aabbccddeeff",
        "-XMP:GPSLatitude=48.1",
        "-XMP:SerialNumber=SN-4711",
        "-XMP:OwnerName=Someone Private",
        "-XMP:City=Secretville",
        "-IPTC:City=Secretville",
        "-IPTC:By-line=Someone Private",
        "-Comment=at home in Secretville",
        "-MakerNotes:SerialNumber=SN-4711",
    ];
    let tagged = Command::new("exiftool")
        .args(["-q", "-m", "-overwrite_original"])
        .args(private)
        .arg(inputs.path())
        .output()
        .expect("exiftool runs: scripts/setup.sh installs it");
    assert!(tagged.status.success(), "{}", String::from_utf8_lossy(&tagged.stderr));
    let input = read_tags(&inputs.path().join("IMG_7.jpg"));
    assert_eq!(input["SerialNumber"], "SN-4711", "the inputs are not tagged: {input:#}");

    let mut agent = world.start_agent();
    for entry in std::fs::read_dir(inputs.path()).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = world.watched().join(entry.file_name());
        std::fs::copy(entry.path(), target).expect("copied");
    }
    for number in 0..TAGGED_COUNT {
        agent.line_with(&format!("IMG_{number}.jpg"));
    }
    let answer = Command::new("exiftool")
        .args(["-json", "-a", "-u", "-r", "-G1"])
        .arg(world.owner.path().join("previews"))
        .output()
        .expect("exiftool runs");
    let previews: Vec<Value> = serde_json::from_slice(&answer.stdout).expect("JSON");
    assert_eq!(previews.len(), TAGGED_COUNT);
    for preview in previews {
        let tags = preview.as_object().expect("an object");
        for (tag, value) in tags {
            let lower = tag.to_lowercase();
            let is_ours = tag.starts_with("XMP-xmpRights:");
            for word in ["gps", "serial", "owner", "city", "location", "uniqueid", "comment"] {
                assert!(is_ours || !lower.contains(word), "{tag}: {value}");
            }
            let text = value.to_string();
            for word in ["SN-47", "LN-47", "Secret", "Private", "48.1"] {
                assert!(!text.contains(word), "{tag}: {value}");
            }
        }
        assert_eq!(tags["XMP-xmpRights:WebStatement"], "mailto:ada@example.org");
        assert_eq!(tags["XMP-xmpRights:Owner"], "Ada");
    }
}

/// What exiftool says of a file.
fn read_tags(path: &Path) -> Value {
    let path: PathBuf = path.to_owned();
    let answer = Command::new("exiftool").arg("-json").arg(&path).output().expect("exiftool runs");
    let tags: Vec<Value> = serde_json::from_slice(&answer.stdout).expect("JSON");
    tags.into_iter().next().unwrap_or_else(|| panic!("nothing about {}", path.display()))
}
