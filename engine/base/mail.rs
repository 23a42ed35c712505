//! Who mail goes to, and the server that takes it: values that settings and consents share.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest address that can be delivered to (RFC 5321, §4.5.3.1.3, without its brackets).
const ADDRESS_BYTES_MAX: usize = 254;

/// An electronic address such as `ada@example.org`, without a name. ASCII, so that every server
/// takes it; nothing in it could begin a header or a command of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailAddress(String);

/// A text that is no electronic address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address such as ada@example.org")]
pub struct MailAddressError(String);

/// A server that takes mail from us. Connections are encrypted: from the first byte at port 465,
/// else by STARTTLS before anything is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailServer {
    /// Its name; its certificate has to be for it.
    pub host: String,
    /// Usually 465 or 587.
    #[serde(default = "submissions")]
    pub port: u16,
    /// Who we are to it; absent: it takes mail from everybody who reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Without encryption and without a password: for a server on this computer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain: bool,
}

/// The port for mail that is encrypted from the first byte (RFC 8314).
pub const fn submissions() -> u16 {
    465
}

impl MailAddress {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MailAddress {
    type Error = MailAddressError;

    fn try_from(text: String) -> Result<Self, MailAddressError> {
        let user_fits = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
        let host_fits = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        let fits = text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty()
                && user.chars().all(user_fits)
                && !host.is_empty()
                && host.chars().all(host_fits)
        });
        if fits && text.len() <= ADDRESS_BYTES_MAX {
            Ok(Self(text))
        } else {
            let shown = text.chars().filter(|c| !c.is_control()).take(60).collect();
            Err(MailAddressError(shown))
        }
    }
}

impl From<MailAddress> for String {
    fn from(address: MailAddress) -> Self {
        address.0
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_that_could_begin_a_command_is_none() {
        for text in ["ada@example.org", "a.b+c@localhost", "a@b-c.example"] {
            assert!(MailAddress::try_from(text.to_owned()).is_ok(), "{text}");
        }
        for text in [
            "",
            "ada",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            "<a@b>",
            "a@b>\r\nRCPT TO:<eve@x",
            "a@b\n",
            "a@b,c@d",
            "ä@b",
            "a@[127.0.0.1]",
            "\"a\"@b",
            "Ada <a@b>",
        ] {
            assert!(MailAddress::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert!(MailAddress::try_from(format!("{}@b", "a".repeat(253))).is_err());
    }
}
