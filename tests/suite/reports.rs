//! What owners are told: mails that a mail server of its own reads, events that `standardwebhooks`
//! checks, a feed, pages, paper; and a hub's statements. `ledger`, `pdftotext` and `qpdf` read what
//! was written for them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use signet::base::clock::Timestamp;
use signet::base::ids::ContentHash;
use signet::base::member::Member;
use signet::hub::home::{HubHome, template};
use signet::store::hub::{
    AccessReport, AgentKeys, Append, CodeRow, HubStore, LogKind, OfferRow, Posting, PostingKind,
    Price, ProviderRow, ProviderState, SqliteHub, provider_account,
};
use signet::store::{Entry, Purpose};

use crate::common::{Home, Run, Service, finish, program, wait_for};
use crate::people::{PostOffice, allowing, with_mail};
use crate::webhooks::peer;
use crate::world::{World, sample, variant};

/// Says in `signet.toml` how the owner is told.
fn with_report(world: &World, lines: &str) {
    let config = world.owner.path().join("signet.toml");
    let text = std::fs::read_to_string(&config).expect("signet.toml");
    let changed = text.replacen("[report]\n", &format!("[report]\n{lines}"), 1);
    assert_ne!(text, changed);
    std::fs::write(&config, changed).expect("written");
}

/// A photo is dropped, ordered, fetched and paid for.
fn order_one(world: &World, number: usize) -> Value {
    world.drop_photo(&format!("holiday {number}.jpg"), &variant(&sample("meadow"), number));
    let orders = world.wait_orders(number, "done");
    orders.last().expect("an order").clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

/// Asks the owner's store by another program, or changes it.
fn store(world: &World, sql: &str) -> String {
    let database = world.owner.path().join("state.sqlite");
    let script = format!(
        "import sqlite3\ndb = sqlite3.connect({database:?}, timeout=10)\n\
         print(db.execute(\"{sql}\").fetchall())\ndb.commit()\n"
    );
    finish(Command::new("python3").args(["-c", &script])).done().stdout
}

/// How many reports were sent.
fn sent_count(world: &World) -> usize {
    let told = store(world, "SELECT name FROM tellings WHERE sent_ms IS NOT NULL");
    told.matches(",)").count()
}

#[test]
fn owner_is_mailed_after_an_access_once_whatever_the_server_does() {
    let Some(mut office) = PostOffice::open(&["drop"]) else { return };
    let world = World::new();
    with_mail(&world, office.port);
    with_report(&world, "mail = \"each\"\n");
    let _lab = world.start_lab();
    let mut agent = world.start_agent();
    let order = order_one(&world, 1);

    // The server takes the letter and hangs up without a word; the same comes again, to the byte.
    let (first, again) = (office.next_letter(), office.next_letter());
    assert_eq!(first["sha256"], again["sha256"]);
    assert_eq!(first["Message-ID"], again["Message-ID"]);
    assert_eq!(text(&first, "Subject"), "Signet: 1 access, you got 0.20 EUR, original by lab");
    let (plain, page) = (text(&first, "text"), text(&first, "html"));
    for said in ["lab fetched the original", "holiday 1.jpg", text(&order, "order_key"), "0.25 EUR"]
    {
        assert!(plain.contains(said), "{said}: {plain}");
    }
    // The picture travels with the mail, and the page shows it.
    let picture = first["pictures"][0].as_str().expect("a picture").trim_matches(['<', '>']);
    assert!(page.contains(&format!("src=\"cid:{picture}\"")), "{picture}");
    assert!(!page.contains("http://") && !page.contains("<script"), "{page}");

    // A restart repeats nothing that was settled: the next letter is about the next access.
    wait_for("the letter to be settled", || (sent_count(&world) == 1).then_some(()));
    agent.kill();
    drop(agent);
    let _agent = world.start_agent();
    let order = order_one(&world, 2);
    let next = office.next_letter();
    assert!(text(&next, "text").contains(text(&order, "order_key")), "{next}");
    assert!(!text(&next, "text").contains("holiday 1.jpg"), "{next}");
}

#[test]
fn months_that_ended_are_told_of_in_their_order_though_nothing_happened() {
    let Some(mut office) = PostOffice::open(&["451 later"]) else { return };
    let world = World::new();
    with_mail(&world, office.port);
    let mut agent = world.start_agent();
    wait_for("the reports to begin", || {
        store(&world, "SELECT way FROM telling_begins").contains("mail").then_some(())
    });
    agent.kill();
    // What is due is due by what the store says, so a test need not wait for a month.
    store(&world, "UPDATE telling_begins SET since_ms = since_ms - 70 * 86400000");
    let _agent = world.start_agent();
    let letters: Vec<Value> = (0..2).map(|_| office.next_letter()).collect();
    let subjects: Vec<&str> = letters.iter().map(|letter| text(letter, "Subject")).collect();
    for (letter, subject) in letters.iter().zip(&subjects) {
        assert!(subject.starts_with("Signet: nothing was fetched, "), "{subject}");
        let month = subject.rsplit(", ").next().expect("a month");
        let said = format!("Nobody fetched anything: {month}.");
        assert!(text(letter, "text").contains(&said) && text(letter, "html").contains(&said));
    }
    assert_ne!(subjects[0], subjects[1]);
    wait_for("both to be settled", || (sent_count(&world) >= 2).then_some(()));
}

#[test]
fn programs_are_told_of_accesses_signed_and_without_a_word_of_the_photo() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let Some(mut command) = peer() else { return };
    let mut receiver = Service::start(command.args(["receive", SECRET]));
    let port: Value = serde_json::from_str(&receiver.line_with("port")).expect("JSON");
    let port = port["port"].as_u64().expect("a port");
    let world = World::new();
    allowing(&world, port);
    with_report(&world, &format!("webhook = \"http://127.0.0.1:{port}/told\"\n"));
    std::fs::write(world.owner.path().join("keys/report.webhook"), SECRET).expect("written");
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    let order = order_one(&world, 1);
    let line: Value =
        serde_json::from_str(&receiver.line_with(r#""verified": true"#)).expect("JSON");
    let body: Value = serde_json::from_str(text(&line, "body")).expect("JSON");
    assert_eq!((&body["type"], &body["specversion"]), (&"signet.access".into(), &"1.0".into()));
    assert_eq!(body["id"], line["headers"]["webhook-id"]);
    assert_eq!(body["data"]["order_key"], order["order_key"]);
    assert_eq!(body["data"]["paid_minor"], 25);
    let whole = line.to_string();
    assert!(!whole.contains("holiday") && !whole.contains(".jpg"), "{whole}");
    let photo = text(&order, "photo");
    assert!(!whole.contains(photo), "{whole}");
}

#[test]
fn feed_is_read_at_its_address_and_nowhere_else() {
    let world = World::new();
    let none = world.owner.run(&["report", "--feed"]);
    assert!(none.code == 1 && none.stderr.contains("feed = true"), "{none:?}");
    with_report(&world, "feed = true\n");
    let _lab = world.start_lab();
    let _agent = world.start_agent();
    order_one(&world, 1);
    let url = world.owner.run(&["report", "--feed"]).done().stdout.trim().to_owned();
    let client: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let get = |url: &str, etag: &str| {
        let mut answer = client.get(url).header("if-none-match", etag).call().expect("an answer");
        let etag = answer.headers().get("etag").map(|etag| etag.to_str().expect("text").to_owned());
        let body = answer.body_mut().read_to_string().expect("a body");
        (answer.status().as_u16(), etag.unwrap_or_default(), body)
    };
    let (etag, body) = wait_for("the access in the feed", || {
        let (status, etag, body) = get(&url, "");
        (status == 200 && body.contains("<entry>")).then_some((etag, body))
    });
    let feed = roxmltree::Document::parse(&body).expect("XML");
    assert_eq!(feed.root_element().tag_name().namespace(), Some("http://www.w3.org/2005/Atom"));
    let title = feed.descendants().filter(|node| node.has_tag_name("title")).nth(1);
    assert_eq!(title.and_then(|title| title.text()), Some("lab fetched the original"));
    assert!(!body.contains("holiday") && !body.contains(".jpg"), "{body}");
    let (status, _, body) = get(&url, &etag);
    assert_eq!((status, body.as_str()), (304, ""));
    let (all_but_last, last) = url.split_at(url.len() - 1);
    let wrong = format!("{all_but_last}{}", if last == "A" { "E" } else { "A" });
    assert_eq!(get(&wrong, "").0, 401);
    let refused = world.report("refusal");
    assert!(refused.iter().any(|line| text(line, "reason").contains("no feed")), "{refused:?}");
}

#[test]
fn report_is_written_as_a_page_on_paper_and_for_ledger() {
    let world = World::new();
    let mut lab = world.start_lab();
    let mut agent = world.start_agent();
    let name = "<b onclick=x>Ä 猫 &.jpg";
    world.drop_photo(name, &sample("meadow"));
    let order = world.wait_orders(1, "done").remove(0);
    lab.kill();
    agent.kill();
    let key = text(&order, "order_key");
    let (page, paper) = (world.owner.path().join("a.html"), world.owner.path().join("a.pdf"));
    let (page_name, paper_name) = (page.to_str().expect("plain"), paper.to_str().expect("plain"));
    let run = |args: &[&str]| world.owner.run(&[&["report"], args].concat());
    run(&["--html", page_name, "--pdf", paper_name]).done();

    let html = std::fs::read_to_string(&page).expect("a page");
    assert_eq!(html.matches("src=\"data:image/jpeg;base64,").count(), 1);
    assert!(html.contains("&lt;b onclick=x&gt;Ä 猫 &amp;.jpg") && !html.contains("<b "), "{html}");
    assert!(html.contains("<svg role=\"img\"") && html.contains(key) && html.contains("0.20 EUR"));
    check_pdf(&paper, key);

    // Of one order, of a month in which nothing was, of days.
    run(&["--order", key, "--html", page_name]).done();
    assert!(std::fs::read_to_string(&page).expect("a page").contains(&format!("order {key}")));
    let none = run(&["--order", "nothing"]);
    assert!(none.code == 1 && none.stderr.contains("signet orders list"), "{none:?}");
    let empty = run(&["--month", "2031-01"]).done().stdout;
    assert_eq!(empty.trim(), "nobody fetched anything: January 2031");
    run(&["--month", "2031-01", "--html", page_name]).done();
    let html = std::fs::read_to_string(&page).expect("a page");
    assert!(html.contains("Nobody fetched anything: January 2031."), "{html}");
    for wrong in [
        &["--month", "2031"][..],
        &["--month", "2031-01", "--from", "2031-01-01"],
        &["--from", "2031-02-02", "--to", "2031-02-01"],
        &["--order", key, "--month", "2031-01"],
    ] {
        assert_eq!(run(wrong).code, 2, "{wrong:?}");
    }
    assert_eq!(world.report("access").len(), 1);
    read_by_ledger(&run(&["--ledger"]).done(), &["Income:Owner", "-0.20 EUR"]);
}

/// Lets those who know PDF read it; each says so when it is not here.
fn check_pdf(paper: &Path, key: &str) {
    if program("pdftotext") {
        let mut command = Command::new("pdftotext");
        let said = finish(command.args(["-layout"]).arg(paper).arg("-")).done();
        for expected in ["What was fetched from Ada", "Accesses", "0.20 EUR", "Latin ones"] {
            assert!(said.stdout.contains(expected), "{expected}: {}", said.stdout);
        }
        let whole: String = said.stdout.split_whitespace().collect();
        assert!(whole.contains(key.get(..12).expect("a key")), "{}", said.stdout);
        assert!(said.stderr.is_empty(), "{}", said.stderr);
    }
    if program("pdfinfo") {
        let said = finish(Command::new("pdfinfo").arg(paper)).done().stdout;
        assert!(said.contains("Signet: what was fetched from Ada"), "{said}");
        assert!(said.contains("Pages:") && said.contains("A4"), "{said}");
    }
    if program("qpdf") {
        let said = finish(Command::new("qpdf").arg("--check").arg(paper)).done();
        assert!(!said.stdout.contains("WARNING") && said.stderr.is_empty(), "{said:?}");
    }
}

/// Lets Debian's `ledger` read a journal, at its strictest.
#[track_caller]
fn read_by_ledger(journal: &Run, expected: &[&str]) {
    if !program("ledger") {
        return;
    }
    let home = Home::new();
    let path = home.write("journal", &journal.stdout);
    let mut command = Command::new("ledger");
    command.args(["--pedantic", "--no-color", "-f"]).arg(path).args(["balance", "--flat"]);
    let said = finish(&mut command).done();
    for words in expected {
        let words: Vec<&str> = words.split(' ').collect();
        assert!(words.iter().all(|word| said.stdout.contains(word)), "{words:?}: {}", said.stdout);
    }
    let sum = said.stdout.lines().last().unwrap_or_default().trim().to_owned();
    assert!(sum == "0" || !said.stdout.contains("---"), "{}", said.stdout);
}

/// A hub with one owner, one provider, a payment, and an access of two months ago that the hub heard
/// of just now.
fn hub() -> Home {
    let home = Home::new();
    let at = Timestamp::now();
    HubHome::at(home.path()).create(&template("Ada's hub", "127.0.0.1:0", None)).expect("made");
    let store = SqliteHub::open(&home.path().join("hub.sqlite")).expect("a store");
    let hash = |text: &str| ContentHash::of(text.as_bytes());
    let code = CodeRow {
        code_hash: hash("code"),
        verifier: hash("verifier"),
        label: "laptop".into(),
        replaces: None,
        made_at: at,
        expires_at: at.plus_millis(1000),
    };
    store.put_code(&code).expect("kept");
    store.join(&hash("code"), "agent1", AgentKeys::one("key"), at).expect("joined");
    let provider = ProviderRow {
        name: "lab".into(),
        key: None,
        secret_hash: None,
        purposes: vec![Purpose::Print],
        currency: "EUR".into(),
        credit_limit_minor: 0,
        service_percent: 20,
        requests_per_minute: 60,
        accesses_per_day: 60,
        notify_url: String::new(),
        notify_secret: String::new(),
        state: ProviderState::Active,
        why: String::new(),
        prices: vec![Price { member: None, purpose: None, megapixels_max: None, fee_minor: 25 }],
    };
    store.put_provider(&provider).expect("kept");
    let paid = Posting {
        posting_id: "top-up-1".into(),
        kind: PostingKind::TopUp,
        access: None,
        currency: "EUR".into(),
        at,
        posted_at: at,
        note: "invoice 7; by bank".into(),
        entries: vec![
            Entry { account: "cash".into(), minor: 1000 },
            Entry { account: provider_account("lab"), minor: -1000 },
        ],
    };
    assert!(store.post(&paid).expect("posted"));
    let offer = OfferRow {
        agent_id: "agent1".into(),
        grant_id: "grant1".into(),
        order_key: "order1".into(),
        provider: "lab".into(),
        member: Member::Original,
        purpose: Purpose::Print,
        digest: hash("photo"),
        bytes_count: 1,
        fee_minor: 25,
        currency: "EUR".into(),
        expires_at: at.plus_millis(1000),
        withdrawn_at: None,
    };
    assert!(store.put_offer(&offer).expect("kept"));
    let access = AccessReport {
        agent_id: "agent1".into(),
        leaf_index: 0,
        grant_id: "grant1".into(),
        turn: 0,
        at: at.plus_millis(-60 * 86_400_000),
        told_at: at,
    };
    let append = Append {
        agent_id: "agent1",
        log: LogKind::Agent,
        from: 0,
        leaves: &[b"leaf".to_vec()],
        nodes: &[],
        checkpoint: None,
        accesses: &[access],
        reversals: &[],
    };
    assert!(store.append(&append).expect("appended").is_some());
    home
}

#[test]
fn statements_of_a_hub_reconcile_and_are_read_by_ledger() {
    let hub = hub();
    let statement = |args: &[&str]| hub.run(&[&["hub", "statement"], args].concat()).done();
    let closing = |party: &[&str]| -> Vec<(String, i64)> {
        let run = hub.run(&[&["--json", "hub", "statement"], party].concat()).done();
        let accounts = run.json().into_iter().filter(|line| line["type"] == "account");
        accounts
            .map(|line| {
                (text(&line, "account").to_owned(), line["closing_minor"].as_i64().expect("minor"))
            })
            .collect()
    };
    assert_eq!(closing(&["--provider", "lab"]), [("provider:lab".to_owned(), 975)]);
    assert_eq!(closing(&["--owner", "agent1"]), [("owner:agent1".to_owned(), 20)]);
    let all = closing(&["--operator"]);
    let of = |name: &str| all.iter().find(|(account, _)| account == name).expect("there").1;
    assert_eq!(of("cash"), of("provider:lab") + of("owner:agent1") + of("service"));

    let text = statement(&["--provider", "lab"]).stdout;
    assert!(text.contains("provider lab") && text.contains("9.75"), "{text}");
    let csv = statement(&["--owner", "agent1", "--csv"]).stdout;
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.contains(",true,access,0.20,") && text.contains("(late: posted"), "{csv}");
    let page = hub.path().join("a.html");
    statement(&["--operator", "--html", page.to_str().expect("plain")]);
    assert!(std::fs::read_to_string(&page).expect("a page").contains("provider:lab"));

    for (party, expected) in [
        (&["--provider", "lab"][..], &["Assets:Prepaid:Ada_s_hub", "9.75"][..]),
        (&["--owner", "agent1"], &["Assets:Receivable:Ada_s_hub", "0.20", "Income:Access"]),
        (&["--operator"], &["Assets:Cash", "Liabilities:Owner:agent1", "Income:Service", "-0.05"]),
    ] {
        let journal = statement(&[party, &["--ledger"]].concat());
        let has_both_dates = |line: &str| line.contains(") access ") && line.contains("=20");
        assert!(journal.stdout.lines().any(has_both_dates), "{}", journal.stdout);
        read_by_ledger(&journal, expected);
    }
    let said = hub.run(&["hub", "reconcile"]).done().stdout;
    assert!(said.contains("everything adds up"), "{said}");
    let nothing = statement(&["--provider", "lab", "--month", "2031-01"]).stdout;
    assert!(nothing.contains("nothing was posted") && nothing.contains("9.75"), "{nothing}");
    let unknown = hub.run(&["hub", "statement", "--provider", "nobody"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("signet hub providers"), "{unknown:?}");
    assert_eq!(hub.run(&["hub", "statement"]).code, 2);
}
