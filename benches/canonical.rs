//! The whole way of a photo, file to stored verdict: photos per second, CPU, latency, memory.
//!
//! ```text
//! read → hash → known? → metadata, decode → preview → icons → rules → store
//! ```
//!
//! In:  nothing. `SIGNET_BENCH_PHOTOS=dir` names other photos than `../shared/camera/12mp`
//!      or, without those, the shipped samples. `SIGNET_BENCH_SMOKE=1` runs each photo once.
//! Out: a table; rows for one worker, for a worker on every core, and the scaled decode alone
//!      beside them; what the sandbox costs.
//!
//! The rows come in pairs: decoding in this process, and in sandboxed workers as the agent
//! does it. Both take turns, round by round, so that they meet the same weather.
//!
//! CPU is that of the worker's own thread, where networks run too, and of its decode worker.
//! Orders, HTTP and the loop's hand-over between threads are not in it.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a bench prints or stops")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use signet::agent::analyse::{Analyst, Eyes, path_fact};
use signet::base::clock::Timestamp;
use signet::base::config::Icons;
use signet::base::ids::ContentHash;
use signet::media::read::BYTES_MAX;
use signet::media::{DecodeSpec, Decoders, SharedBytes, decode, read_shared, sandbox};
use signet::preview::Imprint;
use signet::rules::{Known, RuleFile, RuleSet};
use signet::store::index::{Index, PhotoRow};

/// Photos looked at in one measurement, at least.
const PHOTOS_MIN: usize = 60;

fn main() {
    // Decode workers are this program again.
    if std::env::args().nth(1).as_deref() == Some("decode-worker") {
        return sandbox::serve(Vec::new, decode).expect("the bench speaks as agents do");
    }
    let smoke = variable("SIGNET_BENCH_SMOKE").is_some();
    let (folder, paths) = photos(smoke);
    let eyes = match Eyes::open(None, None) {
        Ok(eyes) => eyes,
        Err(error) => {
            println!("canonical: {error}");
            std::process::exit(1);
        }
    };
    let rules = rules(&eyes);
    let paths = usable(&eyes, paths);
    assert!(!paths.is_empty(), "no photo in {} can be read", folder.display());

    let rounds_count = if smoke { 1 } else { PHOTOS_MIN.div_ceil(paths.len()) };
    let pixels: f64 = paths.iter().map(|path| megapixels(path)).sum::<f64>() / paths.len() as f64;
    println!(
        "canonical: {} photos of {pixels:.1} megapixels on average, {rounds_count} times each, from {}",
        paths.len(),
        folder.display()
    );
    let cores_count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if let Some(load) = load().filter(|load| *load > 0.3 * cores_count as f64) {
        println!(
            "note: others keep this computer busy (load {load:.1}); only CPU ms can be trusted"
        );
    }
    println!(
        "{:<32} {:>9} {:>12} {:>10} {:>9} {:>9} {:>9}",
        "", "photos/s", "CPU ms med", "CPU mean", "med ms", "p95 ms", "peak MiB"
    );
    decode_alone(&paths, rounds_count).print("decode alone, 1 worker");
    let mut one = None;
    for workers_count in [1, cores_count].into_iter().take(cores_count.min(2)) {
        let [here, boxed] = whole(&eyes, &rules, &paths, rounds_count, workers_count);
        let workers = if workers_count == 1 { "1 worker" } else { "a worker per core" };
        here.print(&format!("{workers}, no sandbox"));
        boxed.print(&format!("{workers}, sandboxed"));
        let cost = |here: f64, boxed: f64| 100.0 * (boxed / here - 1.0);
        println!(
            "  the sandbox costs {:.1} % of CPU (medians), {:.1} % of photos/s",
            cost(quantile(&here.cpu_ms, 50), quantile(&boxed.cpu_ms, 50)),
            -cost(here.photos_per_second(), boxed.photos_per_second()),
        );
        match one {
            None => one = Some(boxed.photos_per_second()),
            Some(one) => {
                let times = boxed.photos_per_second() / one;
                println!("{workers_count} workers do {times:.2} times the work of one");
            }
        }
    }
}

/// What was measured: one entry for each photo looked at.
#[derive(Default)]
struct Measured {
    cpu_ms: Vec<f64>,
    latency_ms: Vec<f64>,
    wall: Duration,
    peak_mib: Option<f64>,
}

impl Measured {
    fn add(&mut self, (cpu, latency): (Duration, Duration)) {
        self.cpu_ms.push(cpu.as_secs_f64() * 1e3);
        self.latency_ms.push(latency.as_secs_f64() * 1e3);
    }

    fn photos_per_second(&self) -> f64 {
        self.latency_ms.len() as f64 / self.wall.as_secs_f64()
    }

    fn print(&self, name: &str) {
        let mean = self.cpu_ms.iter().sum::<f64>() / self.cpu_ms.len() as f64;
        let peak = self.peak_mib.map_or("?".to_owned(), |mib| format!("{mib:.0}"));
        println!(
            "{name:<32} {:>9.1} {:>12.1} {mean:>10.1} {:>9.1} {:>9.1} {peak:>9}",
            self.photos_per_second(),
            quantile(&self.cpu_ms, 50),
            quantile(&self.latency_ms, 50),
            quantile(&self.latency_ms, 95),
        );
    }
}

/// The pipeline as the agent's workers and loop run it, on `workers_count` threads: decoding
/// in this process, and in decode workers.
fn whole(
    eyes: &Eyes,
    rules: &RuleSet,
    paths: &[PathBuf],
    rounds_count: usize,
    workers_count: usize,
) -> [Measured; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let index = Index::open(&folder.path().join("index.db")).expect("an index");
    let bench = Bench { rules, index: Mutex::new(index), folder: folder.path().to_path_buf() };
    let measured = [Mutex::new(Measured::default()), Mutex::new(Measured::default())];
    // Rounds of both kinds, and one before that is not counted.
    let next: Vec<AtomicUsize> = (0..2 * (rounds_count + 1)).map(|_| AtomicUsize::new(0)).collect();
    let together = Barrier::new(workers_count);
    std::thread::scope(|scope| {
        for _ in 0..workers_count {
            let (bench, measured, next, together) = (&bench, &measured, &next, &together);
            scope.spawn(move || {
                let analyst = |decoders: Decoders| {
                    let analyst = Analyst::new(eyes).expect("an analyst");
                    analyst.with_decoder(decoders.decoder())
                };
                let mut analysts =
                    [analyst(Decoders::in_this_process()), analyst(Decoders::sandboxed())];
                let mut original = SharedBytes::default();
                for (turn, next) in next.iter().enumerate() {
                    let (kind, is_counted) = (turn % 2, turn >= 2);
                    let leads = together.wait().is_leader();
                    let began = Instant::now();
                    while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let spent = bench.one_photo(&mut analysts[kind], &mut original, path);
                        if is_counted {
                            measured[kind].lock().expect("no panic").add(spent);
                        }
                    }
                    together.wait();
                    if leads && is_counted {
                        measured[kind].lock().expect("no panic").wall += began.elapsed();
                    }
                }
            });
        }
    });
    measured.map(|measured| {
        let measured = measured.into_inner().expect("no panic");
        Measured { peak_mib: peak_mib(), ..measured }
    })
}

/// What all photos meet.
struct Bench<'a> {
    rules: &'a RuleSet,
    index: Mutex<Index>,
    folder: PathBuf,
}

impl Bench<'_> {
    /// One photo from its file to its row in the index; gives CPU time and time on the wall.
    fn one_photo(
        &self,
        analyst: &mut Analyst,
        original: &mut SharedBytes,
        path: &Path,
    ) -> (Duration, Duration) {
        let (cpu, wall) = (thread_cpu() + analyst.decoder().processor_time(), Instant::now());
        let state = read_shared(path, BYTES_MAX, original).expect("it was read before");
        let hash = ContentHash::of(original.as_slice());
        // Rounds after the first would end here in the agent: these bytes are known.
        let index = || self.index.lock().expect("no panic");
        let _known = index().photo(&hash).expect("the index reads");
        let imprint = Imprint {
            owner_address: "mailto:ada@example.org".into(),
            owner_name: "Ada".into(),
            photo_id: hash.to_string(),
        };
        let (analysis, preview) =
            analyst.analyse(original, Some(&imprint)).expect("it was analysed before");
        let preview = preview.expect("an imprint asks for one");
        std::fs::write(self.folder.join(format!("{hash}.jpg")), preview).expect("it is kept");
        let name = PathBuf::from(path.file_name().unwrap_or_default());
        let facts = analysis.facts(path_fact("bench", &name), Icons::default());
        assert!(self.rules.judge(&facts).failures.is_empty(), "a rule failed");
        let row = PhotoRow {
            hash,
            analysis_json: serde_json::to_string(&analysis).expect("plain values"),
            first_seen: Timestamp::now(),
            may_order: true,
        };
        let mut index = index();
        index.record_photo(&row).expect("the index keeps it");
        index.record_file("bench", &name, &state, &hash).expect("the index keeps it");
        (thread_cpu() + analyst.decoder().processor_time() - cpu, wall.elapsed())
    }
}

/// Only the decoder, at the scale that the preview needs; files come from memory.
fn decode_alone(paths: &[PathBuf], rounds_count: usize) -> Measured {
    let files: Vec<Vec<u8>> =
        paths.iter().map(|path| std::fs::read(path).expect("it was read before")).collect();
    let (mut cpu_ms, mut latency_ms) = (Vec::new(), Vec::new());
    let began = Instant::now();
    for _ in 0..rounds_count {
        for bytes in &files {
            let (cpu, wall) = (thread_cpu(), Instant::now());
            std::hint::black_box(decode(bytes, DecodeSpec::default()).expect("it decoded before"));
            latency_ms.push(wall.elapsed().as_secs_f64() * 1e3);
            cpu_ms.push((thread_cpu() - cpu).as_secs_f64() * 1e3);
        }
    }
    Measured { cpu_ms, latency_ms, wall: began.elapsed(), peak_mib: peak_mib() }
}

/// The photos to use, and the folder they are in.
fn photos(smoke: bool) -> (PathBuf, Vec<PathBuf>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = variable("SIGNET_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let camera = shared.join("camera/12mp");
    let samples = root.join("tests/data/samples");
    let folder = match variable("SIGNET_BENCH_PHOTOS") {
        Some(folder) => PathBuf::from(folder),
        None if camera.is_dir() && !smoke => camera,
        None => samples,
    };
    let entries = std::fs::read_dir(&folder);
    let entries = entries.unwrap_or_else(|error| stop(&format!("{}: {error}", folder.display())));
    let photo = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        ["jpg", "jpeg", "png", "webp"].contains(&extension.as_str())
    };
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(photo).collect();
    paths.sort();
    (folder, paths)
}

/// Those that can be looked at, each tried once before anything is timed.
fn usable(eyes: &Eyes, paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut analyst = Analyst::new(eyes).expect("an analyst");
    let mut original = SharedBytes::default();
    let mut try_one = |path: &Path| -> Result<(), String> {
        read_shared(path, BYTES_MAX, &mut original).map_err(|error| error.to_string())?;
        let (analysis, _) = analyst.analyse(&original, None).map_err(|error| error.to_string())?;
        assert!(analysis.width_px > 0 && analysis.height_px > 0, "{}", path.display());
        Ok(())
    };
    let good = |path: &PathBuf| match try_one(path) {
        Ok(()) => true,
        Err(error) => {
            println!("left out {}: {error}", path.display());
            false
        }
    };
    paths.into_iter().filter(good).collect()
}

fn rules(eyes: &Eyes) -> RuleSet {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/family.toml");
    let bytes = std::fs::read(path).expect("the shipped rules read");
    let known = Known::of_icons(eyes.icon_names());
    RuleSet::load(&[RuleFile::new("family.toml", bytes)], &known)
        .expect("the shipped rules have no mistake")
}

fn megapixels(path: &Path) -> f64 {
    let bytes = std::fs::read(path).expect("it was read before");
    let photo = decode(&bytes, DecodeSpec::default()).expect("it decoded before");
    f64::from(photo.width_px) * f64::from(photo.height_px) / 1e6
}

/// CPU time of this thread since it began.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The most memory this process ever held, where the system says (Linux).
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// How many were running or waiting to, in the last minute (Linux).
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// The value that `percent` of all do not exceed.
fn quantile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() * percent).div_ceil(100);
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn variable(name: &str) -> Option<std::ffi::OsString> {
    #[expect(clippy::disallowed_methods, reason = "a bench has no config")]
    std::env::var_os(name)
}

fn stop(why: &str) -> ! {
    println!("canonical: {why}");
    std::process::exit(1)
}
