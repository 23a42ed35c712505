//! What states of a job mean.

use super::*;
use crate::orders::target::ipp::wire::{Answer, Operation, Value, request};

/// A job as it comes through the wire.
fn job(state: i32, reason: &str, made_count: i32, (created_s, up_s): (i32, i32)) -> Job {
    let attributes = vec![
        ("job-id", Value::Integer(12)),
        ("job-name", Value::Name(Job::name("parcel", 1))),
        ("job-state", Value::Enum(state)),
        ("job-state-reasons", Value::Keyword(reason.into())),
        ("job-impressions-completed", Value::Integer(made_count)),
        ("time-at-creation", Value::Integer(created_s)),
        ("job-printer-up-time", Value::Integer(up_s)),
    ];
    let bytes = request(Operation::GetJobs, "ipp://a/", Vec::new(), attributes).expect("bytes");
    Job::read(&Answer::read(bytes).expect("an answer").jobs[0]).expect("a job")
}

#[test]
fn state_and_reasons_become_the_state_of_the_order_and_words() {
    let check = |state, reason, trouble, expected: (OrderState, &str)| {
        let progress = job(state, reason, 0, (0, 0)).progress(trouble);
        assert_eq!((progress.state, progress.note.as_str()), expected);
        assert_eq!(progress.look_again_s.is_none(), state >= 7);
    };
    use OrderState::{Accepted, Cancelled, Done, Failed, Production};
    check(3, "none", None, (Accepted, "waits in the printer"));
    check(3, "none", Some("no paper"), (Accepted, "waits in the printer: no paper"));
    check(
        4,
        "job-hold-until-specified",
        None,
        (Accepted, "is held in the printer: job-hold-until-specified"),
    );
    check(5, "job-printing", None, (Production, "is being printed"));
    check(6, "media-empty-error", None, (Production, "the printer stopped: no paper"));
    check(
        7,
        "job-canceled-by-user",
        None,
        (Cancelled, "cancelled at the printer: someone cancelled it"),
    );
    check(
        8,
        "document-format-error",
        None,
        (Failed, "the printer gave up: the printer cannot read the photo"),
    );
    check(9, "job-completed-successfully", Some("little paper left"), (Done, "printed"));
}

#[test]
fn stage_tells_jobs_that_print_from_those_of_which_nothing_comes() {
    let check = |state, reason, made_count, expected| {
        assert_eq!(job(state, reason, made_count, (0, 0)).stage(), expected, "{state} {reason}");
    };
    check(4, "job-data-insufficient", 0, Stage::Empty);
    check(3, "job-incoming", 0, Stage::Unsettled);
    check(5, "processing-to-stop-point", 0, Stage::Unsettled);
    check(3, "none", 0, Stage::Taken);
    check(5, "job-incoming", 0, Stage::Taken);
    check(8, "aborted-by-system", 0, Stage::Void);
    check(8, "aborted-by-system", 1, Stage::Taken);
    check(7, "job-canceled-by-user", 0, Stage::Void);
    check(7, "job-canceled-at-device", 0, Stage::Taken);
    check(9, "job-completed-successfully", 0, Stage::Taken);
}

#[test]
fn job_is_asked_about_more_rarely_the_older_it_is() {
    let wait = |created_s, up_s| job(5, "none", 0, (created_s, up_s)).progress(None).look_again_s;
    assert_eq!(wait(100, 100), Some(2));
    assert_eq!(wait(100, 180), Some(10));
    assert_eq!(wait(100, 10_000), Some(45));
    assert_eq!(wait(i32::MIN, i32::MAX), Some(45));
    assert_eq!(wait(i32::MAX, i32::MIN), Some(2));
}

#[test]
fn job_is_of_its_parcel_only_by_the_whole_key() {
    let job = job(5, "none", 0, (0, 0));
    assert!(job.is_called("signet parcel 1") && job.is_of("parcel"));
    assert!(!job.is_of("parce") && !job.is_of("parcel 1") && !job.is_called("signet parcel 11"));
}

#[test]
fn reasons_are_words_without_control_characters() {
    let said = words(["none", "media-jam-error", "x\n\u{1b}[0m"].into_iter());
    assert_eq!(said.as_deref(), Some("paper jam, x[0m"));
    assert_eq!(words(["none", "job-printing"].into_iter()), None);
}
