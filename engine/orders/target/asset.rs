//! What a provider that fetches by itself is told of a photo.
//!
//! Such providers check what they fetched with an MD5. It is worked out here from the bytes on
//! this computer while it is made sure that they are the ones that were granted: a photo that
//! changed is not ordered. MD5 says whether a file arrived whole; against a forger stands the grant.

use std::io::Read;

use md5::{Digest, Md5};
use sha2::Sha256;

use super::{Files, Setback};
use crate::orders::catalogue::Product;
use crate::orders::parcel::{Line, Parcel, Recipient};

/// Longest name of a file that is told, in characters.
const NAME_CHARS_MAX: usize = 64;

/// One photo that is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asset {
    /// Where it lies; works by itself.
    pub(super) url: String,
    /// 32 small hexadecimal digits.
    pub(super) md5: String,
    /// Name to file it under: letters, digits, `.`, `-` and `_` of ASCII.
    pub(super) name: String,
}

/// The photo of a line.
///
/// # Errors
/// Not taken when it cannot be read just now, refused when it is no longer what was ordered.
pub(super) fn asset(line: &Line, files: &dyn Files) -> Result<Asset, Setback> {
    let member = line.members.first().ok_or_else(|| Setback::refused("it has no photo"))?;
    let name = &member.name;
    let cannot = |error: std::io::Error| {
        Setback::not_taken(format!("the photo `{name}` cannot be read: {error}"))
    };
    let mut reader = files.open(&line.order_key, member).map_err(cannot)?;
    let (mut md5, mut sha256) = (Md5::new(), Sha256::new());
    let mut piece = vec![0; 128 * 1024];
    loop {
        let count = match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(cannot(error)),
        };
        let bytes = piece.get(..count).unwrap_or_default();
        md5.update(bytes);
        sha256.update(bytes);
    }
    if sha256.finalize().as_slice() != member.sha256.as_bytes() {
        return Err(Setback::not_taken(format!("the photo `{name}` is being changed")));
    }
    let md5 = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Asset { url: member.url.clone(), md5, name: plain_name(name) })
}

/// What a line orders.
///
/// # Errors
/// Refused when nothing is to be made.
pub(super) fn product(line: &Line) -> Result<(&str, &Product), Setback> {
    let product = line.product.as_ref().map(|(name, product)| (name.as_str(), product));
    product.ok_or_else(|| {
        Setback::refused("the provider makes things and takes no photo that is only shared")
    })
}

/// Where a parcel goes.
///
/// # Errors
/// Refused without an address.
pub(super) fn recipient(parcel: &Parcel) -> Result<&Recipient, Setback> {
    parcel.recipient.as_ref().ok_or_else(|| {
        let label = parcel.addressee.as_deref().unwrap_or("owner");
        Setback::refused(format!(
            "the provider ships to an address and none is known for `{label}`: add it with \
             `signet addressees add`, then approve the order again"
        ))
    })
}

fn plain_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    // The end is kept: it says what kind of file it is.
    let skip = name.len().saturating_sub(NAME_CHARS_MAX);
    let name: String = name.chars().skip(skip).skip_while(|c| *c == '.').collect();
    if name.is_empty() { "photo".into() } else { name }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_from_outside_become_plain_and_keep_their_ending() {
        for (name, plain) in [
            ("IMG_0001.JPG", "IMG_0001.JPG"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("Ärger mit \u{202e}gpj.exe", "_rger_mit__gpj.exe"),
            ("...", "photo"),
        ] {
            assert_eq!(plain_name(name), plain);
        }
        assert!(plain_name(&format!("{}.jpg", "x".repeat(300))).ends_with("x.jpg"));
    }

    proptest! {
        #[test]
        fn name_of_a_file_is_always_plain(name in any::<String>()) {
            let name = plain_name(&name);
            prop_assert!(!name.is_empty() && name.len() <= NAME_CHARS_MAX && name.is_ascii());
            prop_assert!(!name.contains(['/', '\\', ':', '"']) && !name.starts_with('.'));
        }
    }
}
