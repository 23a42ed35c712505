//! The end-to-end tests, one program: a file per stage.

#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it waited for")]

mod access;
mod cards;
mod common;
mod companions;
mod composite;
mod crash;
mod disorder;
mod enrol;
mod fit;
mod home;
mod hosted;
mod hostile;
mod hot_folders;
mod hub;
mod hub_api;
mod hub_drill;
mod hub_people;
mod hub_staged;
mod icons;
mod ipp;
mod journey;
mod logs;
mod media;
mod members;
mod mishaps;
mod mutations;
mod orders;
mod outward;
mod people;
mod preview;
mod printer;
mod reports;
mod rest;
mod rest_journey;
mod rolls;
mod rules;
mod sandbox;
mod seal;
mod sheets;
mod study;
mod units;
mod watching;
mod webhooks;
mod world;
