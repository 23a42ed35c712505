//! What it costs to ask rules about a whole collection that was seen: backtest, tune, replay.
//!
//! Ids read `study/operation/size/what`; wall time, both cores. `SIGNET_BENCH_SMOKE=1` takes 1,000
//! photos in place of 100,000.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a bench prints or stops")]

// Of what is shared, this bench asks only for the size.
#[expect(dead_code, reason = "times here are of a whole collection, taken once")]
mod common;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use common::smoke;
use signet::access::{Consent, Key};
use signet::agent::analyse::Analysis;
use signet::agent::study::Study;
use signet::base::clock::Timestamp;
use signet::base::file_state::FileState;
use signet::base::home::Home;
use signet::base::ids::ContentHash;
use signet::base::money::Currency;
use signet::detection::{IconSet, IconSighting, Tier};
use signet::orders::catalogue::Product;
use signet::orders::terms::{Fees, Terms};
use signet::rules::{Known, RuleFile, RuleSet};
use signet::store::index::{PhotoRow, Shot, name_key};
use signet::store::{Index, Purpose};

const RULES_COUNT: usize = 50;
/// 2026-07-01.
const BEGAN: Timestamp = Timestamp(1_782_864_000_000);
const MINUTE_MS: i64 = 60_000;

fn main() {
    let photos_count = if smoke() { 1_000 } else { 100_000 };
    let folder = tempfile::tempdir().expect("a folder");
    let home = home(folder.path());
    fill(&home, photos_count);
    let study = Study::open(&home).expect("opens");
    let known = Known::of_icons(IconSet::house().expect("the icons").names());
    let rules = [RuleFile::new("many.toml", rules())];
    let rules = RuleSet::load(&rules, &known).expect("loads");
    let size = format!("{photos_count}-photos-{RULES_COUNT}-rules");

    let began = Instant::now();
    let found = study.backtest(&rules, Timestamp(0), 0.1, &|_, _| ()).expect("played through");
    assert_eq!(found.photos_count, photos_count);
    let (added, near) = (found.added.len(), found.near_count);
    assert!(added > 0 && near > 0, "{added} {near}");
    let what = format!("{added} orders, {near} near misses");
    println!(
        "{:<48} {:>8.2} s  ({what})",
        format!("study/backtest/{size}/plain"),
        began.elapsed().as_secs_f64()
    );

    let began = Instant::now();
    let sweeps = study.tune(&rules, "rule-1", Timestamp(0), &|_, _| ()).expect("tuned");
    println!(
        "{:<48} {:>8.2} s  ({} plots)",
        format!("study/tune/{size}/one-rule"),
        began.elapsed().as_secs_f64(),
        sweeps.len()
    );
}

fn home(folder: &Path) -> Home {
    let home = Home::at(folder);
    home.create().expect("made");
    let config = "[owner]\nname = 'Ada'\naddress = 'mailto:ada@example.org'\n";
    std::fs::write(home.config_path(), config).expect("written");
    let key = Key::load_or_create(&home.keys_dir().join("agent.key")).expect("a key");
    let terms = Terms {
        orders_url: "https://lab.example/orders".to_owned(),
        purposes: [Purpose::Print, Purpose::Share].into(),
        products: [("print-10x15".to_owned(), Product::priced(29))].into(),
        fees: Fees { original_minor: 25, preview_minor: 0, companion_minor: 0 },
        service_percent: 20,
        service: "signet".to_owned(),
        ..Terms::new(Currency::try_from("EUR".to_owned()).expect("a currency"))
    };
    Consent::load(&home, &key.public())
        .and_then(|none| {
            none.replace([("lab".to_owned(), terms)].into(), &home, &key, "Ada", BEGAN)
        })
        .expect("agreed");
    home
}

/// Photos of a year and more, one every five minutes, one in ten with an icon.
fn fill(home: &Home, photos_count: usize) {
    let mut index = Index::open(&home.index_path()).expect("opens");
    index.begin_batch().expect("begun");
    for number in 0..photos_count {
        let photo = ContentHash::of(&number.to_be_bytes());
        let at = BEGAN.plus_millis(i64::try_from(number).expect("small") * 5 * MINUTE_MS);
        let relative = PathBuf::from(format!("{}/IMG_{number:06}.jpg", number / 500));
        let analysis = analysis(number, at);
        let analysis_json = serde_json::to_string(&analysis).expect("JSON");
        index
            .record_photo(&PhotoRow { hash: photo, analysis_json, first_seen: at, may_order: true })
            .expect("recorded");
        let shot = Shot {
            photo,
            collection: "photos".to_owned(),
            camera: "a".to_owned(),
            taken_ms: at.0,
            name_key: name_key(&relative),
            role: "photo".to_owned(),
            card: None,
            is_doubtful: false,
        };
        index.record_place(&photo, "photos", &relative, Some(&shot)).expect("in its place");
        let (bytes_count, inode) = (4_000_000, number as u64);
        let state = FileState { bytes_count, modified_ns: 1, changed_ns: 1, device: 1, inode };
        index.record_file("photos", &relative, &state, &photo).expect("recorded");
    }
    index.commit_batch().expect("kept");
}

fn analysis(number: usize, at: Timestamp) -> Analysis {
    let icon = |name: &str, tier| IconSighting {
        name: name.to_owned(),
        tier,
        score: 0.5 + (number % 50) as f32 / 100.0,
        corners: [[0.0, 0.0], [400.0, 0.0], [400.0, 400.0], [0.0, 400.0]],
        seal: None,
    };
    let icons = match number % 10 {
        0 => vec![icon("print-10x15", Tier::Order), icon("copies-2", Tier::Ask)],
        _ => Vec::new(),
    };
    let taken = at.to_string();
    Analysis {
        width_px: 4_000 - u32::try_from(number % 100).expect("small") * 10,
        height_px: 3_000,
        bytes_count: 4_000_000,
        media_type: "image/jpeg".to_owned(),
        taken_at: taken.get(..19).map(str::to_owned),
        taken_millis: 0,
        camera: Some("a".to_owned()),
        camera_make: Some("Canon".to_owned()),
        camera_model: Some("Canon EOS 40D".to_owned()),
        place: None,
        icons,
        faces: Vec::new(),
        strangers: signet::agent::analyse::Strangers::default(),
        card: false,
        extras: Default::default(),
        seen_by: String::new(),
    }
}

/// Half ask for an icon, half loop or compare; each with a number that a near miss can be of.
fn rules() -> String {
    let mut text = String::new();
    for index in 0..RULES_COUNT {
        let when = match index % 2 {
            0 => format!(
                "has(\"print-10x15\") && taken != null && taken.month == {}",
                index % 12 + 1
            ),
            _ => format!("width_px >= {} && icons.exists(i, i.score > 0.9)", 3_000 + index * 10),
        };
        let _always = write!(
            text,
            "[[rule]]\nname = 'rule-{index}'\nwhen = '{when}'\n\
             order = {{ product = 'print-10x15', provider = 'lab' }}\n\
             budget = {{ cost_per_month = '5.00 EUR' }}\n"
        );
    }
    text
}
