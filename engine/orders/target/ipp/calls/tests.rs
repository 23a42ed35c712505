//! Addresses, and whether a printer would remember.

use super::*;

#[test]
fn address_of_a_printer_becomes_one_of_http() {
    let check = |uri: &str, expected: Option<&str>| {
        assert_eq!(http_url(uri).ok().as_deref(), expected, "{uri}");
    };
    check("ipp://printer.local/ipp/print", Some("http://printer.local:631/ipp/print"));
    check("ipps://printer.local:443/ipp/print", Some("https://printer.local:443/ipp/print"));
    check("ipp://[fe80::1]/ipp/print", Some("http://[fe80::1]:631/ipp/print"));
    check("ipp://[fe80::1]:8631/ipp/print", Some("http://[fe80::1]:8631/ipp/print"));
    check("ipp://printer", Some("http://printer:631/"));
    check("https://printer/ipp/print", None);
}

/// What a printer says of a job that is over.
fn over(created_s: i32) -> Job {
    let attributes = vec![
        ("job-id", Value::Integer(1)),
        ("job-name", Value::Name("letter".into())),
        ("job-state", Value::Enum(9)),
        ("time-at-creation", Value::Integer(created_s)),
    ];
    let bytes = wire::request(Operation::GetJobs, "ipp://a/", Vec::new(), attributes);
    let answer = Answer::read(bytes.expect("a request")).expect("what was written");
    Job::read(&answer.jobs[0]).expect("a job")
}

#[test]
fn job_that_is_not_listed_was_never_there_only_where_it_would_be_remembered() {
    let check = |age_s: i64, up_s: Option<i32>, jobs: Vec<Job>, expected: bool| {
        let now = Timestamp(1_800_000_000_000);
        let memory = Memory { jobs, is_listed: true, is_whole: true, up_s };
        let ordered_at = now.plus_millis(-age_s * 1000);
        assert_eq!(memory.reaches_to(ordered_at, now), expected, "{age_s} s, on {up_s:?}");
        for (is_listed, is_whole) in [(false, true), (true, false)] {
            let jobs = memory.jobs.clone();
            let memory = Memory { jobs, is_listed, is_whole, up_s };
            assert!(!memory.reaches_to(ordered_at, now), "it hides some of its jobs");
        }
    };
    check(30, Some(31), Vec::new(), true);
    check(30, Some(30), Vec::new(), false);
    check(61, Some(9000), Vec::new(), false);
    check(30, None, Vec::new(), false);
    // It remembers a job from 100 s before now; the order is younger, or older.
    check(90, Some(9000), vec![over(8900)], true);
    check(110, Some(9000), vec![over(8900)], false);
    // A job from before it was switched on is as old as that at least.
    check(90, Some(100), vec![over(0)], true);
    check(i64::from(i32::MAX), Some(i32::MAX), vec![over(i32::MIN)], false);
}
