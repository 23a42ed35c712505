//! Dispatch against receivers that misbehave: each wish is one order, or visibly not one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::common::wait_for;
use crate::world::{Twist, World, sample};

/// What a receiver does with one connection.
#[derive(Clone, Copy)]
pub(crate) enum Mishap {
    /// Passes it on and gives the answer back.
    None,
    /// Passes it on, keeps the answer to itself and hangs up.
    AnswerLost,
    /// Passes the request on twice.
    Twice,
    /// Answers this without passing it on.
    Answer(&'static str),
    /// Sends half an answer and hangs up.
    HalfAnAnswer,
}

/// Stands between agent and lab; the last mishap stays. Tells of each request.
pub(crate) fn in_between(to: u16, mishaps: Vec<Mishap>) -> (u16, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (seen, requests) = channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mishap = mishaps[number.min(mishaps.len() - 1)];
            handle(stream.expect("a connection"), to, mishap, &seen);
        }
    });
    (port, requests)
}

fn handle(mut agent: TcpStream, to: u16, mishap: Mishap, seen: &Sender<()>) {
    let request = read_message(&mut agent);
    if request.is_empty() {
        return;
    }
    let _nobody_waits = seen.send(());
    let pass_on = || {
        let mut lab = TcpStream::connect(("127.0.0.1", to)).expect("the lab");
        lab.write_all(&request).expect("passed on");
        read_message(&mut lab)
    };
    let answer = match mishap {
        Mishap::None => pass_on(),
        Mishap::AnswerLost => {
            pass_on();
            return;
        }
        Mishap::Twice => {
            pass_on();
            pass_on()
        }
        Mishap::Answer(text) => text.as_bytes().to_vec(),
        Mishap::HalfAnAnswer => b"HTTP/1.1 202 Acc".to_vec(),
    };
    let _agent_may_be_gone = agent.write_all(&answer);
}

/// Reads one HTTP message with a content-length.
fn read_message(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    let mut message = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap_or(0);
        message.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&message).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return message;
            }
        }
        if count == 0 {
            return message;
        }
    }
}

fn check(mishaps: Vec<Mishap>, state: &str, at_the_lab_count: usize) -> World {
    let (port, requests) = {
        // The card names the one in between, which needs the lab's port first.
        let lab_port = crate::world::free_port();
        let (port, requests) = in_between(lab_port, mishaps);
        ((port, lab_port), requests)
    };
    let orders_at = Some(format!("127.0.0.1:{}", port.0));
    let world = World::with(&Twist { orders_at, ..Twist::default() });
    // The lab listens where the one in between passes orders on to.
    let config = world.lab.path().join("lab.toml");
    let text = std::fs::read_to_string(&config).expect("lab.toml");
    let listen = text.lines().find(|line| line.starts_with("listen")).expect("listen").to_owned();
    let text = text.replace(&listen, &format!("listen = \"127.0.0.1:{}\"", port.1));
    std::fs::write(&config, text).expect("written");

    let _lab = world.start_lab();
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    world.wait_orders(1, state);
    assert_eq!(world.filed().len(), at_the_lab_count);
    assert!(requests.try_iter().count() > 0, "nothing went through the one in between");
    world
}

#[test]
fn receiver_that_takes_the_order_and_then_hangs_up_has_one_order() {
    check(vec![Mishap::AnswerLost, Mishap::None], "done", 1);
}

#[test]
fn order_delivered_twice_is_one_order() {
    let world = check(vec![Mishap::Twice], "done", 1);
    assert_eq!(world.report("access").len(), 1);
}

#[test]
fn half_an_answer_and_a_server_error_are_tried_again() {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
    check(vec![Mishap::HalfAnAnswer, Mishap::Answer(busy), Mishap::None], "done", 1);
}

#[test]
fn redirect_is_not_followed() {
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
    check(vec![Mishap::Answer(moved), Mishap::None], "done", 1);
}

#[test]
fn address_that_is_gone_ends_the_order_visibly() {
    let gone = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
    let world = check(vec![Mishap::Answer(gone)], "failed", 0);
    assert!(world.orders()[0]["reason"].as_str().expect("words").contains("no more orders"));
}

#[test]
fn lab_that_changed_its_price_says_so() {
    let world = World::new();
    let config = world.lab.path().join("lab.toml");
    let text = std::fs::read_to_string(&config).expect("lab.toml");
    let text = text.replace("print-10x15 = 29", "print-10x15 = 31");
    std::fs::write(&config, text).expect("written");
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    let orders = world.wait_orders(1, "failed");
    assert!(orders[0]["reason"].as_str().expect("words").contains("price"), "{orders:#?}");
}

#[test]
fn order_over_the_limit_waits_until_approved() {
    let world = World::with(&Twist { init: &["--spend-per-month", "0.10"], ..Twist::default() });
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    agent.line_with("planned");
    let orders = world.wait_orders(1, "ask");
    assert_eq!(world.filed().len(), 0, "it left without being approved");
    let key = orders[0]["order_key"].as_str().expect("a key");
    world.owner.run(&["orders", "approve", key]).done();
    world.wait_orders(1, "done");
}

#[test]
fn cancelled_order_is_not_sent() {
    let world = World::new();
    let mut agent = world.start_agent();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    agent.line_with("postponed");
    let orders = world.orders();
    let key = orders[0]["order_key"].as_str().expect("a key");
    world.owner.run(&["orders", "cancel", key]).done();
    let mut lab = world.start_lab();
    world.drop_photo("IMG_2.jpg", &sample("breakfast"));
    wait_for("the other order", || world.orders().iter().find(|o| o["state"] == "done").cloned());
    lab.line_with("filed");
    assert_eq!(world.filed().len(), 1, "the cancelled order went out");
}

#[test]
fn nothing_leaves_while_the_kill_switch_is_thrown() {
    let world = World::new();
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    world.owner.run(&["stop"]).done();
    world.drop_photo("IMG_1.jpg", &sample("meadow"));
    agent.line_with("planned");
    world.drop_photo("marker.jpg", &sample("lake"));
    agent.line_with("marker.jpg");
    assert_eq!(world.filed().len(), 0);
    world.owner.run(&["stop", "--lift"]).done();
    world.wait_orders(1, "done");
}
