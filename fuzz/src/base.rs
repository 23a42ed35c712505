//! Files of `engine/base` that the parsers import.

#[path = "../../engine/base/clock.rs"]
pub mod clock;
#[path = "../../engine/base/member.rs"]
pub mod member;
