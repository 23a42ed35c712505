//! Whom the real program calls: nobody in a private network unless the operator named them.

use std::net::TcpListener;

use crate::common::Service;
use crate::world::{World, sample};

/// Takes what was named out of a configuration; returns what it was before.
fn forget_places(path: &std::path::Path) -> String {
    let before = std::fs::read_to_string(path).expect("a configuration");
    let line = before.lines().find(|line| line.starts_with("allow = [")).expect("allow");
    assert_ne!(line, "allow = []", "nothing was named");
    let text = before.replace(line, "allow = [] # of my own");
    std::fs::write(path, text).expect("written");
    before
}

#[test]
fn order_for_a_place_that_nobody_named_waits_and_says_the_cure() {
    let world = World::new();
    let config = world.owner.path().join("signet.toml");
    let before = forget_places(&config);
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    let line = agent.line_with("postponed");
    assert!(line.contains("[outward] in signet.toml"), "{line}");
    agent.kill();
    assert_eq!(world.filed().len(), 0);

    // Agreeing again says so, and `--local` is the cure.
    let card = world.lab.path().join("card.json");
    let card = card.to_str().expect("a plain path");
    let allow = ["--yes", "consent", "allow", card, "--purpose", "print,share"];
    let said = world.owner.run(&allow).done();
    assert!(said.stderr.contains("will wait") && said.stderr.contains("--local"), "{said:?}");
    let said = world.owner.run(&[&allow[..], &["--local"]].concat()).done();
    assert!(said.stdout.contains("[outward] allow has \"127.0.0.1:"), "{said:?}");
    let after = std::fs::read_to_string(&config).expect("signet.toml");
    assert_eq!(after.replace(" # of my own", ""), before, "the rest of signet.toml stays");
    assert!(after.contains(" # of my own"), "the comment stays");

    let _agent = world.start_agent_unready();
    world.wait_orders(1, "done");
}

#[test]
fn lab_fetches_from_no_owner_in_its_network_whom_it_did_not_name() {
    let world = World::new();
    forget_places(&world.lab.path().join("lab.toml"));
    let mut lab = world.start_lab();
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    let line = lab.line_with("waiting");
    assert!(line.contains("in lab.toml"), "{line}");
    let files: Vec<_> = world.filed().into_values().flat_map(|(_, files)| files).collect();
    assert!(files.is_empty(), "{files:?}");
}

#[test]
fn proxy_of_the_environment_is_not_asked() {
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", proxy.local_addr().expect("an address"));
    proxy.set_nonblocking(true).expect("a listener that does not wait");
    let world = World::new();
    let _lab = world.start_lab();
    let mut command = world.owner.command(&["--json", "run"]);
    for name in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env(name, &url).env(name.to_lowercase(), &url);
    }
    let mut agent = Service::start(&mut command);
    agent.line_with(r#""done":true"#);
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    world.wait_orders(1, "done");
    assert!(proxy.accept().is_err(), "the proxy was called");
}
