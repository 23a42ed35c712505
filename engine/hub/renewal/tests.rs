//! Ends that are read, warned of and counted, with certificates that other programs made.

use std::path::Path;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::hub::certificate::{Files, files};
use crate::hub::home::{HubHome, template};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

/// A certificate that a hub made itself at a moment, as files that were given to another.
fn given(folder: &Path, made_at: Timestamp) -> Files {
    let home = HubHome::at(folder);
    home.create(&template("a", "127.0.0.1:0", None)).expect("made");
    let config = home.config().expect("read");
    let made = files(&home, &config, made_at).expect("made").expect("a certificate");
    Files { is_own: false, ..made }
}

/// Ten years before a moment: a certificate that is made then ends on the day of the moment.
fn ten_years_before(moment: Timestamp) -> Timestamp {
    moment.plus_millis(-3650 * DAY_MS)
}

#[test]
fn end_of_certificates_is_read_as_openssl_reads_it() {
    // `openssl x509 -enddate` says Dec 31 23:59:59 2049 and Jan  1 00:00:00 2050: the last that is
    // written with two digits of the year, and the first with four.
    let two = include_bytes!("../../../tests/data/certificates/until-2049.der");
    let four = include_bytes!("../../../tests/data/certificates/until-2050.der");
    let text = |der: &[u8]| ends_at(der).expect("read").to_string();
    assert_eq!(text(two), "2049-12-31T23:59:59.000Z");
    assert_eq!(text(four), "2050-01-01T00:00:00.000Z");
    assert_eq!(ends_at(two.split_at(60).0), None, "cut");
    assert_eq!(ends_at(b""), None);
}

#[test]
fn end_is_warned_of_from_three_weeks_before_it() {
    let ends_at = NOW.plus_millis(WARNED_DAYS * DAY_MS);
    let said = |later_ms: i64| outlook(ends_at, false, NOW.plus_millis(later_ms));
    assert!(said(0).expect("far away").contains("in 21 days"));
    let soon = said(1).expect_err("near");
    assert!(soon.contains("in 20 days") && soon.contains("without a restart"), "{soon}");
    let over = said(30 * DAY_MS).expect_err("over");
    assert!(over.contains("ended") && over.contains("nobody can connect"), "{over}");
    assert!(outlook(NOW, true, NOW).expect_err("over").contains("join anew"));
}

#[test]
fn hub_warns_once_a_day_until_the_certificate_is_renewed_and_counts_what_is_left() {
    let (folder, newer) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let ours = given(folder.path(), ten_years_before(NOW.plus_millis(10 * DAY_MS)));
    let certificate = Certificate::open(ours.clone()).expect("opened");
    let left_s = |now: Timestamp| (certificate.ends_at().expect("read").0 - now.0) / 1000;
    let mut renewal = Renewal::of(certificate.clone());
    let metrics = Metrics::default();
    assert!(!metrics.text().contains("certificate_left_seconds{"), "nothing is known yet");
    let said = Arc::new(Mutex::new(Vec::new()));
    let told = said.clone();
    let tell: Tell = Arc::new(move |event| told.lock().expect("free").push(event));
    let mut count = |now: Timestamp| {
        renewal.look(&metrics, &tell, now);
        let line =
            format!("signet_hub_certificate_left_seconds{{made_by=\"others\"}} {}", left_s(now));
        assert!(metrics.text().lines().any(|l| l == line), "no `{line}` in {}", metrics.text());
        said.lock().expect("free").len()
    };
    assert_eq!(count(NOW), 1);
    assert_eq!(count(NOW.plus_millis(DAY_MS - 1)), 1);
    assert_eq!(count(NOW.plus_millis(DAY_MS)), 2);
    let renewed = given(newer.path(), NOW);
    let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(2_000_000_000);
    for (from, to) in [(&renewed.certificate, &ours.certificate), (&renewed.key, &ours.key)] {
        std::fs::copy(from, to).expect("renewed");
        let file = std::fs::File::options().write(true).open(to).expect("opened");
        file.set_modified(later).expect("set");
    }
    assert_eq!(count(NOW.plus_millis(3 * DAY_MS)), 2, "taken over, and far from its end");
    let said = format!("{:?}", said.lock().expect("free"));
    assert!(said.contains("in 9 days") || said.contains("in 10 days"), "{said}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = ends_at(&bytes);
    }

    #[test]
    fn altered_certificate_is_read_without_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = include_bytes!("../../../tests/data/certificates/until-2049.der").to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(length.index(bytes.len()) + 1);
        let _ = ends_at(&bytes);
    }
}
