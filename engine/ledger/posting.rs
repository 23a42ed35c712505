//! The balanced set of entries that one access posts.

use crate::store::Entry;

/// Splits an access fee: provider debited, service and owner credited.
///
/// The service gets `service_percent` (0 to 100) of the fee, rounded half up to whole minor
/// units; the owner gets the rest. The sum is zero whatever the rounding does.
pub fn access_entries(
    provider: &str,
    service: &str,
    fee_minor: i64,
    service_percent: u8,
) -> [Entry; 3] {
    let percent = i128::from(service_percent.min(100));
    let part = (i128::from(fee_minor) * percent + 50).div_euclid(100);
    let service_minor = i64::try_from(part).unwrap_or(0);
    [
        Entry { account: format!("provider:{provider}"), minor: fee_minor },
        Entry { account: "owner".into(), minor: service_minor - fee_minor },
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
