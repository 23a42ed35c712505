//! The end-to-end tests, one program: a file per stage.

#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it waited for")]

mod access;
mod cards;
mod common;
mod composite;
mod crash;
mod enrol;
mod home;
mod icons;
mod journey;
mod media;
mod members;
mod orders;
mod preview;
mod rolls;
mod rules;
mod seal;
mod sheets;
mod world;
