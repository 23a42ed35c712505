//! The balanced set of entries that one access posts.

use crate::base::money::split;
use crate::store::Entry;

/// The entries of an access: provider debited, owner and service credited, each with its part of
/// the fee as [`split`] rounds it.
pub fn access_entries(
    provider: &str,
    service: &str,
    fee_minor: i64,
    service_percent: u8,
) -> [Entry; 3] {
    let (service_minor, owner_minor) = split(fee_minor, service_percent);
    [
        Entry { account: format!("provider:{provider}"), minor: fee_minor },
        Entry { account: "owner".into(), minor: -owner_minor },
        Entry { account: format!("service:{service}"), minor: -service_minor },
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_cent_is_rounded_half_up_to_the_service() {
        let minors = access_entries("lab", "signet", 25, 50).map(|entry| entry.minor);
        assert_eq!(minors, [25, -12, -13]);
        let minors = access_entries("lab", "signet", 0, 20).map(|entry| entry.minor);
        assert_eq!(minors, [0, 0, 0]);
    }

    proptest! {
        #[test]
        fn entries_always_add_up_to_zero(fee in 0..i64::MAX, percent in 0_u8..=255) {
            let entries = access_entries("p", "s", fee, percent);
            let sum: i128 = entries.iter().map(|entry| i128::from(entry.minor)).sum();
            prop_assert_eq!(sum, 0);
            prop_assert!(entries[1].minor <= 0 && entries[2].minor <= 0, "nobody else pays");
        }
    }
}
