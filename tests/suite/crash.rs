//! `kill -9` at random moments: no order lost, none doubled, the ledger sums to zero.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use signet::base::ids::ContentHash;

use crate::common::wait_for;
use crate::world::{World, sample, variant};

const KILLS_COUNT: u64 = 50;

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % limit
    }
}

#[test]
fn killed_fifty_times_every_wish_is_one_order() {
    let world = World::new();
    let mut dice = Dice(7);
    let mut lab = world.start_lab();
    drop(world.start_agent());
    let marked: Vec<Vec<u8>> = ["meadow", "breakfast", "autumn"].map(sample).into();
    let plain = sample("lake");

    let mut wanted = BTreeSet::new();
    for kill in 0..KILLS_COUNT {
        let mut agent = world.start_agent_unready();
        let number = usize::try_from(kill).expect("small");
        let photo = variant(&marked[number % marked.len()], number);
        wanted.insert(ContentHash::of(&photo).to_string());
        let life = Duration::from_millis(dice.below(900));
        let (before, after) = (life / 2, life - life / 2);
        pause(before);
        world.drop_photo(&format!("IMG_{kill}.jpg"), &photo);
        if dice.below(4) == 0 {
            world.drop_photo(&format!("plain_{kill}.jpg"), &variant(&plain, number));
        }
        pause(after);
        agent.kill();
        if dice.below(5) == 0 {
            lab.kill();
            lab = world.start_lab();
        }
    }
    let _agent = world.start_agent();
    let count = wanted.len();
    let orders = wait_for("all orders done", || {
        let orders = world.orders();
        let done = orders.iter().filter(|order| order["state"] == "done").count();
        (done >= count).then_some(orders)
    });
    let photos: BTreeSet<String> =
        orders.iter().map(|order| order["photo"].as_str().expect("a hash").to_owned()).collect();
    assert_eq!(orders.len(), count, "an order was doubled");
    assert_eq!(photos, wanted, "an order was lost");

    let filed = world.filed();
    assert_eq!(filed.len(), count, "the lab has other orders than the owner");
    for (key, (event, files)) in &filed {
        assert_eq!(files.len(), 1, "{key}");
        let bytes = std::fs::read(&files[0]).expect("a file");
        let digest = ContentHash::of(&bytes).to_string();
        assert_eq!(event["data"]["members"][0]["sha256"], digest, "{key} is not identical");
    }
    let accesses = world.report("access");
    assert_eq!(accesses.len(), count, "an access is missing or doubled");
    let sum: i64 = world.report("balance").iter().filter_map(|line| line["minor"].as_i64()).sum();
    assert_eq!(sum, 0);
    let doctor = world.owner.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:#?}");
}

/// Lets time pass: the moment of a kill is the point of this test.
fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}
