//! Addresses that nobody can guess, for providers that have no key and only fetch URLs.
//!
//! Each is made of what it is for and of a secret that follows from the agent's key, so none is
//! kept, the same one comes out each time, and only this agent can make one. It opens nothing by
//! itself: the grant behind it holds or does not.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac_sha256::HMAC;

use super::key::Key;

/// Makes and knows the secrets of addresses.
#[derive(Clone)]
pub struct LinkKey([u8; 32]);

impl LinkKey {
    /// The one of an agent.
    pub fn of(key: &Key) -> Self {
        Self(key.derived("signet links v1"))
    }

    /// What makes an address unguessable: 256 bits, 43 letters.
    ///
    /// - `kind`: keeps addresses of different things apart, such as `grant`
    pub fn secret(&self, kind: &str, id: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(kind, id))
    }

    /// Whether a secret belongs to an address; takes the same time whatever is wrong with it.
    pub fn opens(&self, kind: &str, id: &str, secret: &str) -> bool {
        let Ok(shown) = URL_SAFE_NO_PAD.decode(secret) else { return false };
        let mac = self.mac(kind, id);
        shown.len() == mac.len()
            && shown.iter().zip(mac).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }

    fn mac(&self, kind: &str, id: &str) -> [u8; 32] {
        HMAC::mac(format!("{kind}\n{id}").as_bytes(), self.0)
    }
}

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_opens_its_own_address_and_no_other() {
        let key = LinkKey::of(&Key::generate().expect("a key"));
        let secret = key.secret("grant", "a");
        assert_eq!(secret.len(), 43);
        assert!(key.opens("grant", "a", &secret));
        for (kind, id) in [("grant", "b"), ("callback", "a")] {
            assert!(!key.opens(kind, id, &secret), "{kind} {id}");
        }
        let (_, shorter) = secret.split_at(1);
        for wrong in ["", "é", &secret.to_lowercase(), shorter] {
            assert!(!key.opens("grant", "a", wrong), "{wrong}");
        }
        let other = LinkKey::of(&Key::generate().expect("a key"));
        assert!(!other.opens("grant", "a", &secret));
    }
}
