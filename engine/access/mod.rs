//! Who may fetch what: keys, consent, grants, and the check at every request.
//!
//! The agent signs grants with its own key and checks them itself, so nobody on the way
//! can make one. A grant is bound to the provider's key: whoever fetches proves that it
//! holds that key (DPoP, RFC 9449), so a copied grant is worth nothing.

pub mod address_book;
pub mod card;
pub mod check;
pub mod consent;
pub mod decision;
pub mod grant;
pub mod jws;
pub mod key;
pub mod link;
pub mod manifest;
pub mod membership;
pub mod people_book;
pub mod proof;
pub mod sealed;
pub mod seals;
pub mod signed_call;
pub mod vault;

pub use address_book::AddressBook;
pub use card::Card;
pub use check::{Refusal, Request, check};
pub use consent::Consent;
pub use grant::{Claims, member_for};
pub use key::{Key, PublicKey};
pub use link::LinkKey;
pub use manifest::{Manifest, Structure};
pub use membership::Membership;
pub use seals::{Seals, seal_words};
