//! What finding icons costs, stage by stage, in CPU time of one core. Takes an optional photo
//! as its argument; without one it looks at a drawn picture.
//!
//! ```text
//! detection/STAGE/SIZE    mean ms
//! ```

use std::path::PathBuf;
use std::time::Instant;

use signet::detection::align::Aligner;
use signet::detection::draw::{Brush, draw};
use signet::detection::embed::Embedder;
use signet::detection::localise::Localiser;
use signet::detection::quads::Quad;
use signet::detection::verify::{Templates, Verifier};
use signet::detection::warp::{Pyramid, half};
use signet::detection::{
    Enrolment, IconDetector, IconSet, LibrarySearch, Memory, Runtime, Tier, detector, intake,
};
use signet::media::{DecodeSpec, Frame, decode};
use signet::preview::Renderer;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let photo = std::env::args().skip(1).find(|word| !word.starts_with('-')).map(PathBuf::from);
    let search = LibrarySearch {
        config: None,
        environment: signet::base::config::environment("ORT_DYLIB_PATH").map(PathBuf::from),
        program: std::env::current_exe().ok(),
    };
    let runtime = Runtime::load(&search.find()?)?;
    let set = IconSet::house()?;
    let empty = match photo {
        Some(path) => {
            let decoded = decode(&std::fs::read(path)?, DecodeSpec::default())?;
            Renderer::default().upright(&decoded, 1024)?
        }
        None => drawn(),
    };
    let mut marked = empty.clone();
    let brush = Brush::new(&set.icons()[0].picture(512)?);
    let quad = Quad([[300.0, 310.0], [362.0, 300.0], [366.0, 362.0], [306.0, 368.0]]);
    draw(&mut marked, &brush, &quad, 1.0);
    let size = format!("{}x{}", empty.width_px(), empty.height_px());

    let mut localiser = Localiser::new(&runtime, detector::LOCALISER)?;
    let mut aligner = Aligner::new(&runtime, detector::ALIGNER)?;
    let mut embedder = Embedder::new(&runtime, detector::EMBEDDER)?;
    let mut verifier = Verifier::new(Templates::new(&set)?);
    let quarter = half(&empty).as_ref().and_then(half).ok_or("the photo is too small")?;
    let (mut candidates, mut framed, mut embeddings) = (Vec::new(), Vec::new(), Vec::new());

    time(&format!("localise/{size}"), 40, || {
        candidates.clear();
        localiser.run(&empty, 1.0, 0.15, &mut candidates)
    })?;
    time("localise/quarter", 40, || {
        candidates.clear();
        localiser.run(&quarter, 4.0, 0.15, &mut candidates)
    })?;
    for count in [1_usize, 8] {
        let quads = vec![quad; count];
        time(&format!("align/{count}"), 100, || {
            aligner.run(&mut Pyramid::new(&marked), &mut quads.clone(), &mut framed)
        })?;
        time(&format!("embed/{count}"), 100, || {
            embedder.run(&mut Pyramid::new(&marked), &quads, &mut embeddings)
        })?;
    }
    time("verify/64px", 100, || {
        let evidence = verifier.verify(&mut Pyramid::new(&marked), &quad, 0);
        evidence.map(|_| ()).ok_or("nothing to compare")
    })?;
    let started = Stopwatch::start();
    let mut detector = IconDetector::new(detector::IconModels::built_in(&runtime)?, &set)?;
    report(&format!("start/{}-house", set.icons().len()), started.seconds());
    enrolling(&runtime, &mut embedder)?;
    if detector.look(&marked)?.first().is_none_or(|sighting| sighting.tier != Tier::Order) {
        return Err("the icon in the picture was not found: figures would mean nothing".into());
    }
    time(&format!("look/{size}/empty"), 40, || detector.look(&empty).map(|_| ()))?;
    time(&format!("look/{size}/one-icon"), 40, || detector.look(&marked).map(|_| ()))?;
    Ok(())
}

/// What an owner's own icons cost: to make one, to enrol one, and at a start with 100 of them
/// that are remembered.
fn enrolling(runtime: &Runtime, embedder: &mut Embedder) -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("signet-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let drawing = |number: u32| {
        let mut seed = number.wrapping_mul(2_654_435_761) | 1;
        let bars: String = (0..25)
            .filter_map(|cell| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 31 == 1).then(|| format!("M{} {}h4v4h-4z", cell % 5 * 5, cell / 5 * 5))
            })
            .collect();
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="{bars}"/></svg>"#
        )
    };
    let mut taken = Vec::new();
    let started = Stopwatch::start();
    for number in 1..=100 {
        taken.push(intake::take(&format!("own-{number}"), "Own", drawing(number).as_bytes())?.icon);
    }
    report("take", started.seconds() / 100.0);
    for icon in &taken {
        std::fs::write(folder.join(format!("{}.svg", icon.name())), icon.svg())?;
    }
    let mut memory = Memory::house();
    let set = IconSet::of_home(&folder)?;
    let started = Stopwatch::start();
    Enrolment::of(&set, embedder, &mut memory)?;
    report("enrol/one-new", started.seconds() / 100.0);
    let started = Stopwatch::start();
    let set = IconSet::of_home(&folder)?;
    let enrolment = Enrolment::of(&set, embedder, &mut memory)?;
    report(&format!("enrol/{}-remembered", set.icons().len()), started.seconds());
    let started = Stopwatch::start();
    let models = detector::IconModels::built_in(runtime)?;
    let _detector = IconDetector::of(models, enrolment);
    report("networks", started.seconds());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Time that this thread spent on a core, where Linux tells it; else time that went by.
struct Stopwatch {
    wall: Instant,
    cpu_ns: Option<u64>,
}

impl Stopwatch {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu_ns: Self::cpu_ns() }
    }

    fn cpu_ns() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    fn seconds(&self) -> f64 {
        match (self.cpu_ns, Self::cpu_ns()) {
            (Some(from), Some(to)) => to.saturating_sub(from) as f64 / 1e9,
            _ => self.wall.elapsed().as_secs_f64(),
        }
    }
}

/// A picture with edges, curves and grain.
fn drawn() -> Frame {
    let mut seed = 1_u32;
    let mut rgb = Vec::with_capacity(1024 * 768 * 3);
    for y in 0..768_u32 {
        for x in 0..1024_u32 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let base = if (x / 90 + y / 70) % 2 == 0 { 150 } else { 80 };
            let round = if (x % 200).pow(2) + (y % 160).pow(2) < 5000 { 50 } else { 0 };
            let grain = seed >> 29;
            rgb.extend(
                [base + round + grain, base + grain, 200 - base + grain].map(|v| v.min(255) as u8),
            );
        }
    }
    Frame::new(1024, 768, rgb).unwrap_or_else(|| unreachable!("the size fits"))
}

/// Runs it so often that the clock's steps (4 ms on some kernels) do not matter.
fn time<E>(name: &str, runs_count: u32, mut run: impl FnMut() -> Result<(), E>) -> Result<(), E> {
    run()?;
    let started = Stopwatch::start();
    for _ in 0..runs_count {
        run()?;
    }
    report(name, started.seconds() / f64::from(runs_count));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn report(name: &str, seconds: f64) {
    println!("detection/{name:28} {:8.2} ms", seconds * 1e3);
}
