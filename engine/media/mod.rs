//! From bytes to pixels and facts: format, metadata, decoding. Plain functions: no disk,
//! clock or network.

pub mod frame;

pub use frame::Frame;
