//! What jobs mean together, and those that a printer forgot.

use super::*;

#[test]
fn numbers_of_jobs_are_read_as_they_were_written() {
    assert_eq!(read_remote("12,13@1700000000"), Ok((vec![12, 13], 1_700_000_000)));
    for wrong in ["", "12", "@1", "12,@1", "12@x", "k3jq"] {
        assert!(read_remote(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn job_that_is_forgotten_was_printed_unless_the_printer_was_off() {
    assert_eq!(forgotten(Some(500), 400).state, OrderState::Done);
    assert_eq!(forgotten(Some(300), 400).state, OrderState::Failed);
    assert_eq!(forgotten(None, 400).state, OrderState::Failed);
}

#[test]
fn parcel_is_as_far_as_its_last_job() {
    let progress = |state, look_again_s| Progress { state, note: String::new(), look_again_s };
    let check = |all: &[Progress], expected: Option<OrderState>| {
        assert_eq!(together(all.to_vec()).map(|progress| progress.state), expected);
    };
    use OrderState::{Accepted, Cancelled, Done, Failed, Production};
    let (waits, prints) = (progress(Accepted, Some(2)), progress(Production, Some(2)));
    let [done, failed, cancelled] = [Done, Failed, Cancelled].map(|state| progress(state, None));
    check(&[done.clone(), prints.clone(), waits], Some(Accepted));
    check(&[failed.clone(), prints], Some(Production));
    check(&[done.clone(), cancelled.clone(), failed], Some(Failed));
    check(&[done.clone(), cancelled], Some(Cancelled));
    check(&[done], Some(Done));
    check(&[], None);
}
