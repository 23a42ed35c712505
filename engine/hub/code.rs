//! The one-time code by which a computer joins: how it is written, and how both sides prove that
//! they know it without telling it to whoever is in between.
//!
//! ```text
//! code      80 random bits, `K7QF-92MX-0D3T-VB6H`: on two screens and nowhere else
//! key       HKDF-SHA256 of the code
//! verifier  SHA-256 of the key: the hub keeps it
//! name      SHA-256 of the verifier: goes over the wire first, so that the hub finds it
//! ```
//!
//! This is SCRAM (RFC 5802, section 3) with a code that is random instead of a password: the agent
//! sends `key XOR HMAC(verifier, transcript)`, from which the hub gets the key back and checks that
//! it hashes to the verifier; the hub answers with `HMAC(verifier, transcript')`. Somebody in between
//! sees neither key nor verifier, cannot make either proof, and has 2^80 codes to try. Somebody who
//! copied the hub's database has the verifier, which is not enough to join.
//!
//! Knows nothing of HTTP, keys or stores.

use std::fmt;
use std::str::FromStr;

use hmac_sha256::{HKDF, HMAC};

use crate::base::ids::ContentHash;

/// Crockford's base 32: no I, L, O and U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters of a code without its dashes; 16 × 5 = 80 bits.
const CHARS: usize = 16;

/// A one-time code. Its text is a secret until it was used.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; 10]);

/// A text that is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("that is no code of a hub: four groups of four letters and digits, such as K7QF-92MX-…")]
pub struct NoCode;

impl Code {
    /// Makes a new one.
    ///
    /// # Errors
    /// Only when the system gives no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 10];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// What the hub keeps of it.
    pub fn verifier(&self) -> Verifier {
        Verifier(ContentHash::of(&self.key()))
    }

    /// Proves to the hub that it is known here.
    pub fn prove(&self, transcript: &Transcript) -> [u8; 32] {
        xor(self.key(), self.verifier().mac(Side::Agent, transcript))
    }

    fn key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        HKDF::expand(&mut key, HKDF::extract(b"signet", self.0), "signet join v1");
        key
    }
}

/// What is kept of a code: enough to check that somebody knows it, not enough to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verifier(pub ContentHash);

impl Verifier {
    /// Names the code on the wire.
    pub fn name(&self) -> ContentHash {
        ContentHash::of(self.0.as_bytes())
    }

    /// Whether a proof was made by somebody who knows the code, over just this.
    pub fn believes(&self, proof: &[u8; 32], transcript: &Transcript) -> bool {
        let key = xor(*proof, self.mac(Side::Agent, transcript));
        hmac_sha256::Hash::verify(key, self.0.as_bytes())
    }

    /// Proves to the agent that the hub knows the code.
    pub fn prove(&self, transcript: &Transcript) -> [u8; 32] {
        self.mac(Side::Hub, transcript)
    }

    /// Whether a proof was made by the hub that made the code, over just this.
    pub fn believes_hub(&self, proof: &[u8; 32], transcript: &Transcript) -> bool {
        HMAC::verify(transcript.bytes(Side::Hub), self.0.as_bytes(), proof)
    }

    fn mac(&self, side: Side, transcript: &Transcript) -> [u8; 32] {
        HMAC::mac(transcript.bytes(side), self.0.as_bytes())
    }
}

/// Who proves; keeps the proof of one side from passing as the other's.
#[derive(Debug, Clone, Copy)]
enum Side {
    Agent,
    Hub,
}

/// What both sides saw of each other. Where they saw different things no proof holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// The agent's key, base64url.
    pub agent_key: String,
    /// The hub's key, base64url.
    pub hub_key: String,
    /// SHA-256 of the certificate of the connection, lower-case hex; empty where TLS ends before
    /// the hub.
    pub certificate: String,
    /// The agent's nonce.
    pub agent_nonce: String,
    /// The hub's.
    pub hub_nonce: String,
    /// What the hub gives: the agent's id and where it is reached. Empty in the agent's proof, which
    /// comes before.
    pub given: [String; 2],
}

impl Transcript {
    /// Each part with its length, so that none can be moved into the next.
    fn bytes(&self, side: Side) -> Vec<u8> {
        let side = match side {
            Side::Agent => "signet join v1 agent",
            Side::Hub => "signet join v1 hub",
        };
        let parts = [
            side,
            &self.agent_key,
            &self.hub_key,
            &self.certificate,
            &self.agent_nonce,
            &self.hub_nonce,
            &self.given[0],
            &self.given[1],
        ];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// What both sides show after joining, for people who want to compare: six groups of five digits,
/// 100 bits of SHA-256 over both keys.
pub fn check_digits(hub_key: &str, agent_key: &str) -> String {
    let digest = ContentHash::of(format!("signet keys v1 {hub_key} {agent_key}").as_bytes());
    let groups: Vec<String> = digest
        .as_bytes()
        .chunks_exact(5)
        .take(6)
        .map(|chunk| {
            let number = chunk.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            format!("{:05}", number % 100_000)
        })
        .collect();
    groups.join(" ")
}

fn xor(mut one: [u8; 32], other: [u8; 32]) -> [u8; 32] {
    one.iter_mut().zip(other).for_each(|(one, other)| *one ^= other);
    one
}

/// `K7QF-92MX-0D3T-VB6H`
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bit = |index: usize| usize::from(self.0[index / 8] >> (7 - index % 8) & 1);
        for char in 0..CHARS {
            if char > 0 && char % 4 == 0 {
                f.write_str("-")?;
            }
            let digit = (char * 5..char * 5 + 5).fold(0, |value, index| value * 2 + bit(index));
            write!(f, "{}", char::from(DIGITS[digit]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

/// Small letters, blanks and missing dashes are fine, and O, I and L are what they look like.
impl FromStr for Code {
    type Err = NoCode;

    fn from_str(text: &str) -> Result<Self, NoCode> {
        let mut bits: u128 = 0;
        let mut chars_count = 0;
        for char in text.chars().filter(|char| !matches!(char, '-' | ' ')) {
            let char = match char.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let digit = DIGITS.iter().position(|digit| char::from(*digit) == char);
            let digit = digit.and_then(|digit| u128::try_from(digit).ok()).ok_or(NoCode)?;
            chars_count += 1;
            if chars_count > CHARS {
                return Err(NoCode);
            }
            bits = bits << 5 | digit;
        }
        let bytes = bits.to_be_bytes();
        match bytes.last_chunk() {
            Some(bytes) if chars_count == CHARS => Ok(Self(*bytes)),
            _ => Err(NoCode),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn transcript() -> Transcript {
        Transcript {
            agent_key: "a".into(),
            hub_key: "h".into(),
            certificate: "c".into(),
            agent_nonce: "1".into(),
            hub_nonce: "2".into(),
            given: ["id".into(), "url".into()],
        }
    }

    #[test]
    fn code_is_read_as_people_write_it() {
        let code = Code([0x9d, 0xed, 0x79, 0x52, 0x98, 0x00, 0x43, 0xf5, 0x8c, 0xff]);
        assert_eq!(code.to_string(), "KQPQ-JMMR-011Z-B37Z");
        for text in ["KQPQ-JMMR-011Z-B37Z", "kqpqjmmrolizb37z", " kqpq jmmr oiiz b37z"] {
            assert_eq!(text.parse(), Ok(code.clone()), "{text}");
        }
        for text in ["", "KQPQ-JMMR-011Z-B37", "KQPQ-JMMR-011Z-B37Z0", "UQPQ-JMMR-011Z-B37Z", "é"]
        {
            assert_eq!(text.parse::<Code>(), Err(NoCode), "{text}");
        }
        assert_eq!(format!("{code:?}"), "Code(…)", "not in a log");
    }

    #[test]
    fn proofs_hold_for_what_both_saw_and_for_nothing_else() {
        let (code, other) = (Code::generate().expect("code"), Code::generate().expect("code"));
        let verifier = code.verifier();
        let (ours, hubs) = (code.prove(&transcript()), verifier.prove(&transcript()));
        assert!(verifier.believes(&ours, &transcript()));
        assert!(verifier.believes_hub(&hubs, &transcript()));
        assert!(!verifier.believes(&other.prove(&transcript()), &transcript()));
        assert!(!other.verifier().believes(&ours, &transcript()));
        assert!(!verifier.believes(&hubs, &transcript()), "the other side's");
        assert!(!verifier.believes_hub(&ours, &transcript()), "the other side's");
        let changes: [fn(&mut Transcript); 7] = [
            |seen| seen.agent_key = "b".into(),
            |seen| seen.hub_key = "i".into(),
            |seen| seen.certificate = String::new(),
            |seen| seen.agent_nonce = "3".into(),
            |seen| seen.hub_nonce = "3".into(),
            |seen| seen.given[0] = "other".into(),
            |seen| seen.given = ["idurl".into(), String::new()],
        ];
        for change in changes {
            let mut seen = transcript();
            change(&mut seen);
            assert!(!verifier.believes(&ours, &seen), "{seen:?}");
            assert!(!verifier.believes_hub(&hubs, &seen), "{seen:?}");
        }
    }

    #[test]
    fn what_the_hub_keeps_does_not_let_join() {
        let code = Code::generate().expect("code");
        let verifier = code.verifier();
        // All that its database gives: the verifier in the place of the key.
        let forged = xor(*verifier.0.as_bytes(), verifier.mac(Side::Agent, &transcript()));
        assert!(!verifier.believes(&forged, &transcript()));
        assert_ne!(verifier.name(), verifier.0);
    }

    #[test]
    fn check_digits_depend_on_both_keys() {
        let digits = check_digits("h", "a");
        assert_eq!(digits.split(' ').map(str::len).collect::<Vec<_>>(), [5; 6]);
        assert_ne!(digits, check_digits("h", "b"));
        assert_ne!(digits, check_digits("a", "h"));
    }

    proptest! {
        #[test]
        fn every_code_is_read_as_it_was_written(bytes: [u8; 10]) {
            let code = Code(bytes);
            prop_assert_eq!(code.to_string().parse::<Code>(), Ok(code));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC*") {
            let _read = text.parse::<Code>();
        }
    }
}
