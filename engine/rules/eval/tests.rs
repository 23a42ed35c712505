//! What conditions say of photos, what their mistakes say, and what stops them.

use proptest::prelude::*;

use super::*;
use crate::base::member::Member;
use crate::detection::{Seal, Tier};
use crate::rules::facts::{
    CameraFact, CompanionFact, Facts, IconFact, OrderedFact, PathFact, PersonFact, PlaceFact,
    PrintFact, PrintKind, TimeFact, WordsFact,
};

fn icons() -> Vec<String> {
    ["print-10x15", "canvas", "share", "copies-2"].map(str::to_owned).to_vec()
}

fn icon(name: &str, tier: Tier, score: f64, x: f64) -> IconFact {
    IconFact {
        name: name.to_owned(),
        tier,
        seal: Seal::None,
        lowered: false,
        score,
        size: 0.1,
        x,
        y: 0.5,
    }
}

fn photo(taken: Option<&str>) -> Facts {
    Facts {
        icons: vec![
            icon("print-10x15", Tier::Order, 0.97, 0.25),
            icon("copies-2", Tier::Ask, 0.7, 0.75),
            icon("copies-2", Tier::Ask, 0.6, 0.85),
        ],
        path: PathFact {
            collection: "family".to_owned(),
            folder: "2026/Sommer".to_owned(),
            name: "Möwe.JPG".to_owned(),
            extension: "jpg".to_owned(),
        },
        taken: taken.and_then(TimeFact::parse),
        width_px: 4_000,
        height_px: 3_000,
        bytes_count: 2_500_000,
        companions: vec![CompanionFact {
            role: Member::VoiceMemo,
            name: "Möwe.WAV".to_owned(),
            media_type: "audio/wav".to_owned(),
            bytes_count: 90_000,
        }],
        dpof: vec![
            job(PrintKind::Index, 1),
            PrintFact { size_mm: 102, channel: 7, ..job(PrintKind::Standard, 3) },
        ],
        words: WordsFact {
            keywords: vec!["Strand".to_owned(), "print".to_owned()],
            title: "Möwe".to_owned(),
            instructions: String::new(),
            rating: 4,
        },
        people: vec![
            person("Anna", Tier::Order, 0.9),
            person("Ben", Tier::Order, 0.8),
            person("Oma Erna", Tier::Ask, 0.6),
        ],
        unknown_faces: 0,
        unknown_is_nearest: false,
        unknown_is_largest: false,
        place: Some(PlaceFact { latitude: 54.18, longitude: 7.89 }),
        camera: CameraFact { make: "Canon".to_owned(), model: "Canon EOS 40D".to_owned() },
        album: "Sommer".to_owned(),
        ordered: vec![OrderedFact {
            rule: "prints".to_owned(),
            provider: "lab".to_owned(),
            product: "mug".to_owned(),
            copies: 2,
        }],
    }
}

fn person(name: &str, tier: Tier, score: f64) -> PersonFact {
    PersonFact {
        name: name.to_owned(),
        tier,
        alone: false,
        portrait: false,
        score,
        size: 0.1,
        x: 0.5,
        y: 0.5,
    }
}

fn job(kind: PrintKind, copies: u32) -> PrintFact {
    PrintFact {
        kind,
        copies,
        size_mm: 0,
        channel: 0,
        paper: String::new(),
        caption: "Am Meer".to_owned(),
        creator: "SONY".to_owned(),
    }
}

fn compiled(text: &str, wanted: Kind) -> Result<Condition, Vec<ExprMistake>> {
    let (icons, people) = (icons(), ["Anna", "Ben", "Carla", "Oma Erna"].map(str::to_owned));
    let mut names = Names::of_icons(&icons);
    names.people = Some(&people);
    for (list, of, members) in [
        ("family", Of::People, &["Anna", "Ben", "Carla"][..]),
        ("everybody", Of::People, &["Anna", "Ben", "Carla", "Oma Erna"]),
        ("pair", Of::People, &["Anna", "Ben"]),
        ("prints", Of::Icons, &["print-10x15", "canvas"]),
        ("shown", Of::Icons, &["print-10x15", "copies-2"]),
    ] {
        let members = members.iter().map(|name| (*name).to_owned()).collect();
        names.lists.insert(list.to_owned(), List { of, names: members });
    }
    compile(text, wanted, &names)
}

#[track_caller]
fn check(text: &str, expected: bool) {
    let facts = photo(Some("2026-07-01T10:00:00"));
    let condition = compiled(text, Kind::Truth).expect(text);
    assert_eq!(condition.truth(&PhotoScope::new(&facts)), Ok(expected), "{text}");
}

/// A condition with one mistake: the text from where it stands, and its message.
#[track_caller]
fn check_mistake(text: &str, place: &str, message: &str) {
    let mistakes = compiled(text, Kind::Truth).expect_err(text);
    let at: Vec<(String, &str)> = mistakes
        .iter()
        .map(|m| (text.chars().skip(m.chars_before).collect(), m.message.as_str()))
        .collect();
    assert_eq!(at, [(place.to_owned(), message)], "{text}");
}

#[test]
fn facts_answer_conditions() {
    check(r#"has("print-10x15")"#, true);
    check(r#"has("copies-2")"#, false);
    check(r#"seen("copies-2") && !seen("canvas")"#, true);
    check(r#"count("copies-2") == 2 && count("canvas") == 0"#, true);
    check(r#"path.folder.startsWith("2026/") && path.name == "Möwe.JPG""#, true);
    check(r#"path.collection in ["family", "work"]"#, true);
    check(r#"path.name.matches("^M.*[.]JPG$") && path.extension.endsWith("g")"#, true);
    check("taken != null && taken.month == 7 && taken.weekday == 3 && taken.hour < 12", true);
    check("width_px > height_px && bytes_count / 1000000 == 2", true);
    check("size(icons) == 3 && icons[0].name == \"print-10x15\"", true);
}

#[test]
fn people_and_icons_answer_the_same_questions() {
    check(r#"has("Anna") && !has("Oma Erna") && seen("Oma Erna") && faint("Oma Erna")"#, true);
    check("any(family) && !all(family) && all(pair) && !none(family)", true);
    check("count(family) == 2 && count(everybody) == 2 && different(everybody) == 3", true);
    check(r#"none("Carla") && count("Carla") == 0"#, true);
    // Somebody who may be Erna is somebody else.
    check("only(family)", false);
    check("only(everybody)", true);
    check(r#"any(prints) && !all(prints) && !only(prints) && only(shown) && !all(shown)"#, true);
    check(r#"people.exists(p, p.name == "Ben" && p.score > 0.7 && p.tier == "order")"#, true);
    check(r#""Anna" in family && size(people) == 3 && unknown_faces == 0"#, true);
    let mut facts = photo(None);
    facts.unknown_faces = 1;
    let only = compiled("only(everybody)", Kind::Truth).expect("a condition");
    assert_eq!(only.truth(&PhotoScope::new(&facts)), Ok(false), "a stranger is somebody else");
    facts.people.clear();
    assert_eq!(only.truth(&PhotoScope::new(&facts)), Ok(false), "nobody is not only them");
}

#[track_caller]
fn check_of(facts: &Facts, text: &str, expected: bool) {
    let condition = compiled(text, Kind::Truth).expect(text);
    assert_eq!(condition.truth(&PhotoScope::new(facts)), Ok(expected), "{text}");
}

#[test]
fn portrait_is_an_icon_of_somebody_and_nobody_who_is_there() {
    let mut facts = photo(None);
    let portrait = |name, tier| PersonFact { portrait: true, ..person(name, tier, 0.9) };
    facts.people = vec![
        person("Anna", Tier::Order, 0.9),
        portrait("Ben", Tier::Order),
        portrait("Ben", Tier::Ask),
        portrait("Oma Erna", Tier::Ask),
    ];
    for (text, expected) in [
        (
            r#"has("Ben") || seen("Ben") || faint("Ben") || any(everybody) && count(pair) > 1"#,
            false,
        ),
        (r#"only("Anna") && all("Anna") && none("Ben") && size(people) == 1"#, true),
        (r#"different(everybody) == 1 && !people.exists(p, p.name == "Ben")"#, true),
        (r#"has(portrait("Ben")) && any(portrait(family)) && !has(portrait("Anna"))"#, true),
        (r#"seen(portrait("Oma Erna")) && faint(portrait("Oma Erna"))"#, true),
        (r#"has(portrait("Oma Erna")) || faint(portrait("Ben"))"#, false),
        (r#"none(portrait("Anna")) && none(portrait("Carla")) && !none(portrait(family))"#, true),
        (r#"only(portrait("Ben")) || all(portrait(pair))"#, false),
        (r#"only(portrait(everybody)) && all(portrait("Ben"))"#, true),
        // As of icons: how many, sure or not.
        (r#"count(portrait("Ben")) == 2 && different(portrait(everybody)) == 2"#, true),
        (r#"size(portraits) == 3 && portraits.exists(p, p.name == "Ben" && p.size < 0.2)"#, true),
    ] {
        check_of(&facts, text, expected);
    }
    // A stranger beside them is nothing about portraits.
    facts.unknown_faces = 1;
    check_of(&facts, r#"only(portrait(everybody)) && !only("Anna")"#, true);
    // Who minds no strangers says so.
    check_of(
        &facts,
        r#"any(pair) && people.all(p, p.name in pair) && size(people) + unknown_faces == 2"#,
        true,
    );
}

#[test]
fn nearest_to_the_middle_and_largest_are_people_who_are_there_for_sure() {
    let at = |name, x, y, size| PersonFact { x, y, size, ..person(name, Tier::Order, 0.9) };
    let mut facts = photo(None);
    (facts.width_px, facts.height_px) = (4_000, 1_000);
    // Ben is 300 px off the middle, Anna 400.
    facts.people = vec![at("Anna", 0.6, 0.5, 0.3), at("Ben", 0.5, 0.2, 0.2)];
    check_of(&facts, r#"middle("Ben") && !middle("Anna") && middle(pair)"#, true);
    check_of(&facts, r#"largest("Anna") && !largest("Ben") && largest(family)"#, true);
    let portrait = PersonFact { portrait: true, ..at("Oma Erna", 0.5, 0.5, 0.9) };
    facts.people.push(portrait);
    check_of(&facts, r#"middle("Ben") && largest("Anna")"#, true);
    facts.unknown_faces = 1;
    check_of(&facts, r#"middle("Ben") && largest("Anna")"#, true);
    facts.unknown_is_nearest = true;
    check_of(&facts, r#"!middle(everybody) && largest("Anna")"#, true);
    (facts.unknown_is_nearest, facts.unknown_is_largest) = (false, true);
    check_of(&facts, r#"middle("Ben") && !largest(everybody)"#, true);
    // Who may be somebody else is nobody's nearest, and nobody behind is either.
    facts.unknown_is_largest = false;
    facts.people[1].tier = Tier::Ask;
    check_of(&facts, r#"!middle(everybody) && largest("Anna")"#, true);
    facts.people.clear();
    check_of(&facts, "!middle(everybody) && !largest(everybody)", true);
}

#[test]
fn mistakes_about_portraits_and_places_in_the_photo_say_what_would_be_right() {
    check_mistake(
        r#"portrait("Anna")"#,
        r#"("Anna")"#,
        "`portrait(…)` stands in a question: `has(portrait(\"…\"))`",
    );
    check_mistake(
        r#"has(portrait("Ana"))"#,
        r#""Ana"))"#,
        "there is no person `Ana`: did you mean `Anna`?",
    );
    check_mistake(
        "has(portrait(prints))",
        "prints))",
        "`portrait()` is about people, this is about icons",
    );
    check_mistake(
        r#"middle("canvas")"#,
        r#""canvas")"#,
        "`middle()` is about people, this is about icons",
    );
    check_mistake(
        r#"largest(portrait("Anna"))"#,
        r#""Anna"))"#,
        "`largest()` is about people who are there themselves",
    );
    check_mistake(
        r#"portraits.name == "Anna""#,
        r#".name == "Anna""#,
        "`portraits` is a list and has no `name`; look at each with \
         `portraits.exists(portrait, portrait.name …)`",
    );
    // Nobody is enrolled, and no icon is called so.
    let icons = icons();
    let mistakes = compile(r#"has("Anna")"#, Kind::Truth, &Names::of_icons(&icons));
    let message = &mistakes.expect_err("nobody")[0].message;
    assert!(message.starts_with("there is no icon `Anna`"), "{message}");
    assert!(message.contains("`signet people add`"), "{message}");
}

#[test]
fn place_camera_album_and_orders_answer() {
    // Helgoland, seen from Cuxhaven and from Sydney.
    check("near(53.87, 8.70, 100) && !near(53.87, 8.7, 10) && !near(-33.9, 151.2, 1000)", true);
    check("place != null && place.latitude > 54.0 && place.longitude < 8.0", true);
    check(r#"camera.make == "Canon" && camera.model.endsWith("40D") && album == "Sommer""#, true);
    check(r#"ordered.exists(o, o.product == "mug" && o.copies > 1 && o.rule == "prints")"#, true);
    let mut facts = photo(None);
    facts.place = None;
    let near = compiled("near(54, 8, 5000)", Kind::Truth).expect("a condition");
    assert_eq!(near.truth(&PhotoScope::new(&facts)), Ok(false), "nobody knows where");
}

#[test]
fn mistakes_about_people_and_places_say_what_would_be_right() {
    check_mistake(
        r#"has("Ana")"#,
        r#""Ana")"#,
        "there is no icon and no person `Ana`: did you mean `Anna`?",
    );
    check_mistake(
        "any(familie)",
        "familie)",
        "there is no list `familie`: did you mean `family`?; the name of an icon or a person \
         stands in quotes: `any(\"…\")`",
    );
    check_mistake(
        "near(54, 8)",
        "(54, 8)",
        "write `near(52.52, 13.40, 10)`: degrees north (-90 to 90), degrees east (-180 to 180), \
         kilometres",
    );
    check_mistake(
        "people.name == \"Anna\"",
        ".name == \"Anna\"",
        "`people` is a list and has no `name`; look at each with \
         `people.exists(person, person.name …)`",
    );
}

#[test]
fn loops_answer_over_icons() {
    check(r#"icons.exists(i, i.name == "copies-2" && i.x > 0.8)"#, true);
    check(r#"icons.all(i, i.score > 0.65)"#, false);
    check(r#"icons.exists_one(i, i.tier == "order")"#, true);
    check(r#"size(icons.filter(i, i.tier == "ask")) == 2"#, true);
    check(r#"icons.all(i, i.seal == "none") && !icons.exists(i, i.seal == "mine")"#, true);
    check(r#"icons.filter(i, i.x < 0.5).all(i, i.name == "print-10x15")"#, true);
    check(r#""copies-2" in icons.map(i, i.name)"#, true);
    check("icons.exists(a, icons.exists(b, a.name == b.name && a.x < b.x))", true);
    check("[1, 2, 3].exists(n, n == width_px)", false);
}

#[test]
fn companions_print_jobs_and_words_answer() {
    check(r#"companions.exists(c, c.role == "voice-memo" && c.bytes_count > 1000)"#, true);
    check(
        r#"companions[0].name.endsWith(".WAV") && companions[0].media_type == "audio/wav""#,
        true,
    );
    check(r#"size(dpof) == 2 && dpof[1].copies == 3 && dpof[1].channel == 7"#, true);
    check(r#"dpof.filter(j, j.kind == "standard")[0].size_mm == 102"#, true);
    check(r#"dpof.all(j, j.creator == "SONY" && j.paper == "" && j.caption != "")"#, true);
    check(r#""print" in keywords && keywords.exists(k, k.startsWith("Str"))"#, true);
    check(r#"rating >= 4 && title == "Möwe" && instructions == """#, true);
    check(r#"size(keywords + ["a"]) == 3 && keywords + keywords != keywords"#, true);
}

#[test]
fn copies_of_a_print_job_are_a_whole_number() {
    let facts = photo(None);
    let copies = compiled("dpof[1].copies", Kind::Whole).expect("a number");
    assert_eq!(copies.whole(&PhotoScope::new(&facts)), Ok(3));
    let beyond = compiled("dpof[2].copies", Kind::Whole).expect("a number");
    let why = beyond.whole(&PhotoScope::new(&facts)).expect_err("there are two");
    assert_eq!(why, "the list is shorter than that");
}

#[test]
fn mistakes_about_companions_and_print_jobs_say_what_would_be_right() {
    check_mistake(
        "dpof.copies > 1",
        ".copies > 1",
        "`dpof` is a list and has no `copies`; look at each with \
         `dpof.exists(job, job.copies …)`",
    );
    check_mistake(
        "dpof[0].copys > 1",
        ".copys > 1",
        "a print job has no `copys`: did you mean `copies`?",
    );
    check_mistake(
        "companions.exists(c, c.role == 3)",
        "== 3)",
        "`==` compares text with a whole number, which never match",
    );
    check_mistake(
        "companions.exists(c, c.rolle == \"raw\")",
        ".rolle == \"raw\")",
        "a companion has no `rolle`: did you mean `role`?",
    );
    check_mistake(
        "keywords == \"a\"",
        "== \"a\"",
        "`==` compares a list of texts with text, which never match",
    );
    check_mistake(
        "rating == \"5\"",
        "== \"5\"",
        "`==` compares a whole number with text, which never match",
    );
    check_mistake(
        "keywords.exists(k, k > 3)",
        "> 3)",
        "`>` compares text with a whole number, which never match",
    );
}

#[test]
fn whole_numbers_and_numbers_with_a_point_compare() {
    check("width_px > 3999.5 && 4000.0 == width_px", true);
    check("icons[0].score < 1 && icons[0].x * 2.0 <= 1", true);
    check("double(width_px) / double(height_px) > 1.3", true);
    check("count(\"copies-2\") >= 1.5", true);
}

#[test]
fn unknown_names_are_told_with_the_nearest() {
    check_mistake(
        "widht_px > 3",
        "widht_px > 3",
        "`widht_px` is not known here: did you mean `width_px`?",
    );
    check_mistake(
        r#"seen("share") || has("print-10x16")"#,
        r#""print-10x16")"#,
        "there is no icon and no person `print-10x16`: did you mean `print-10x15`?",
    );
    check_mistake(
        "icons.exists(i, i.scroe > 0.5)",
        ".scroe > 0.5)",
        "an icon has no `scroe`: did you mean `score`?",
    );
    check_mistake(
        "path.foldr == \"x\"",
        ".foldr == \"x\"",
        "`path` has no `foldr`: did you mean `folder`?",
    );
    check_mistake(
        "sen(\"share\")",
        "(\"share\")",
        "the function `sen` is not known: did you mean `seen`?",
    );
    check_mistake(
        "icons.exist(i, true)",
        "(i, true)",
        "`.exist()` is not known: did you mean `exists`?",
    );
    check_mistake(
        "has(canvas)",
        "canvas)",
        "there is no list `canvas`; known are `everybody`, `family`, `pair`, `prints`, `shown`; the \
         name of an icon or a person stands in quotes: `has(\"…\")`",
    );
    check_mistake(
        "has(1)",
        "(1)",
        "`has()` takes the name of one icon or person in quotes: `has(\"…\")`, or of a list without",
    );
    check_mistake("seen(each)", "each)", "`each` is known only in a rule that says `each = \"…\"`");
}

#[test]
fn mistakes_behind_wide_characters_keep_their_place() {
    check_mistake(
        r#"path.name == "Möwe 🎈" || hight_px > 1"#,
        "hight_px > 1",
        "`hight_px` is not known here: did you mean `height_px`?",
    );
    check_mistake(r#"path.name == "ü🎈" && && true"#, "&& true", "`&&` is not expected here");
}

#[test]
fn syntax_mistakes_are_placed_and_put_in_words() {
    check_mistake("has(\"share\"", "", "`)` is missing here");
    check_mistake("true &&", "", "the condition ends too early");
    check_mistake("", "", "the condition ends too early");
    check_mistake("true ||\n  || false", "|| false", "`||` is not expected here");
    check_mistake("true; false", "; false", "`;` does not belong here");
}

#[test]
fn kinds_that_cannot_fit_are_told() {
    let whole = "this has to give true or false, it gives a whole number";
    check_mistake("count(\"share\")", "count(\"share\")", whole);
    check_mistake(
        "width_px == \"wide\"",
        "== \"wide\"",
        "`==` compares a whole number with text, which never match",
    );
    check_mistake(
        "count(\"share\") && true",
        "&& true",
        "`&&` joins true and false, this is a whole number",
    );
    check_mistake(
        "width_px * 1.5 > 3.0",
        "* 1.5 > 3.0",
        "`*` needs two whole numbers or two with a point; write `double(…)` around the whole one",
    );
    check_mistake(
        "icons.name == \"share\"",
        ".name == \"share\"",
        "`icons` is a list and has no `name`; look at each with `icons.exists(icon, icon.name …)`",
    );
}

#[test]
fn photo_without_a_time_fails_only_conditions_that_need_one() {
    let facts = photo(None);
    let scope = PhotoScope::new(&facts);
    let july = compiled("taken.month == 7", Kind::Truth).expect("compiles");
    let why = july.truth(&scope).expect_err("no time");
    assert_eq!(why, "the photo does not say when it was taken; write `taken != null && …`");
    let july = compiled("taken != null && taken.month == 7", Kind::Truth).expect("compiles");
    assert_eq!(july.truth(&scope), Ok(false));
}

#[test]
fn conditions_that_explode_are_refused_or_stopped() {
    let deep = format!("{}true{}", "(".repeat(400), ")".repeat(400));
    assert!(compiled(&deep, Kind::Truth).is_err());
    let chain = format!("size({}) > 0", "path".to_owned() + &".name".repeat(300));
    assert!(compiled(&chain, Kind::Truth).is_err());
    let long = format!("true{}", " || true".repeat(400));
    assert!(compiled(&long, Kind::Truth).is_err());
    let nested = "icons.all(a, icons.all(b, icons.all(c, a.x + b.x > c.x)))";
    check_mistake(nested, "(c, a.x + b.x > c.x)))", "loops may be nested 2 deep, not deeper");

    let mut facts = photo(None);
    facts.icons = vec![icon("share", Tier::Order, 0.9, 0.5); 2_000];
    let squared = compiled("icons.all(a, icons.all(b, a.x == b.x))", Kind::Truth).expect("fits");
    let filtered = compiled("size(icons.filter(a, icons.exists(b, b.x > a.x))) == 0", Kind::Truth)
        .expect("fits");
    let mapped = compiled("size(icons.map(a, icons.map(b, b.x))) == 1", Kind::Truth).expect("fits");
    let scope = PhotoScope::new(&facts);
    for condition in [squared, filtered, mapped] {
        assert_eq!(condition.truth(&scope), Err(TOO_MANY.to_owned()));
    }
    // The count starts anew with each condition.
    let once = compiled("icons.all(a, a.x == 0.5)", Kind::Truth).expect("fits");
    assert_eq!(once.truth(&scope), Ok(true));
}

const TOO_MANY: &str = "it takes more than 400000 steps; ask less of each, or of fewer";

/// More of everything than a photo can have.
fn rich_photo() -> Facts {
    let mut facts = photo(None);
    facts.words.keywords = (0..10_000).map(|n| format!("{}{n}", "ab".repeat(48))).collect();
    facts.words.title = "ab".repeat(1_000);
    facts.people = (0..1_000).map(|n| person(&format!("Person {n}"), Tier::Ask, 0.9)).collect();
    facts
}

#[test]
fn text_or_list_that_doubles_with_each_loop_is_stopped() {
    // Forty doublings of two kilobytes, or of one element, fit no computer.
    let facts = rich_photo();
    let scope = PhotoScope::new(&facts);
    for (start, step) in [
        ("[title]", ".map(a, a + a)"),
        ("[[1]]", ".map(a, a + a)"),
        ("[[1]]", ".map(a, [a, a])"),
        ("[[1]]", ".map(a, {1: a, 2: a})"),
        ("[[1]]", ".map(a, [a] + [a])"),
    ] {
        let text = format!("size({start}{}) == 1", step.repeat(40));
        let condition = compiled(&text, Kind::Truth).expect(&text);
        assert_eq!(condition.truth(&scope), Err(TOO_MANY.to_owned()), "{text}");
    }
    // What doubles a few times is an ordinary list.
    let text = format!("size([[1]]{}.filter(a, size(a) == 256)) == 1", ".map(a, a + a)".repeat(8));
    assert_eq!(compiled(&text, Kind::Truth).expect(&text).truth(&scope), Ok(true));
}

#[test]
fn work_that_hides_in_one_part_of_a_loop_is_counted() {
    let facts = rich_photo();
    let scope = PhotoScope::new(&facts);
    for text in [
        r#"keywords.all(k, !("x" in keywords))"#,
        "keywords.all(k, !title.contains(k + \"c\"))",
        "keywords.all(k, size(keywords + [k]) > 1)",
        "keywords.all(k, size(title) == 2000)",
        "keywords.all(k, [keywords] != [[k]])",
        "keywords.exists(k, [keywords].exists(l, l[0.5] == k))",
        "size(keywords.map(k, keywords)) == 1",
        "keywords.all(k, !k.matches(\"(?:a?b?){800}c\"))",
        "keywords.all(k, none(everybody) && none(family) && none(pair) && k != title)",
    ] {
        let condition = compiled(text, Kind::Truth).expect(text);
        assert_eq!(condition.truth(&scope), Err(TOO_MANY.to_owned()), "{text}");
    }
    // The same things asked once are answered.
    for text in [
        r#"!("x" in keywords) && size(title) == 2000 && size(keywords + ["a"]) == 10001"#,
        "keywords.all(k, k != title) && !title.contains(keywords[0])",
        "keywords[0].matches(\"^(ab)+0$\") && keywords.exists(k, k.endsWith(\"b77\"))",
        "keywords.all(k, k.startsWith(\"ab\") && k.contains(\"ba\"))",
    ] {
        let condition = compiled(text, Kind::Truth).expect(text);
        assert_eq!(condition.truth(&scope), Ok(true), "{text}");
    }
}

#[test]
fn condition_is_stopped_at_the_same_step_each_time() {
    // With n keywords it takes 10 steps and a few for each; the first n that is too many is one.
    let condition = compiled("keywords.all(k, k != title)", Kind::Truth).expect("fits");
    let mut facts = rich_photo();
    facts.words.keywords = vec!["a".to_owned(); 60_000];
    let mut fits = 0..60_000;
    while fits.len() > 1 {
        let half = fits.start + fits.len() / 2;
        facts.words.keywords.resize(half, "a".to_owned());
        let answers = [(); 3].map(|()| condition.truth(&PhotoScope::new(&facts)).is_ok());
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{half} keywords");
        if answers[0] { fits.start = half } else { fits.end = half }
    }
    assert!((10_000..50_000).contains(&fits.start), "{} keywords are asked", fits.start);
}

#[test]
fn regular_expressions_are_read_with_their_rule() {
    check(r#"path.name.matches("^M\\w+e[.]JPG$") && matches(album, "mm")"#, true);
    check(r#"keywords.exists(k, k.matches("(?i)^str") || k.matches("x"))"#, true);
    check_mistake(
        r#"title.matches("(a")"#,
        r#""(a")"#,
        "this regular expression is wrong: unclosed group",
    );
    check_mistake(
        r#"title.matches("(?:(?:a{99}){99}){99}")"#,
        r#""(?:(?:a{99}){99}){99}")"#,
        "this regular expression is too large; repeat less in it",
    );
    check_mistake(
        "keywords.exists(k, title.matches(k))",
        "k))",
        "the regular expression of `matches` stands here in quotes",
    );
    let icons = icons();
    let mut names = Names::of_icons(&icons);
    for (name, text) in [("start", r#""^M""#), ("fits", "path.name.matches(start)")] {
        let defined = define(text, &names).expect(text);
        names.defined.insert(name.to_owned(), defined);
    }
    let facts = photo(None);
    let condition = compile("fits && !album.matches(start)", Kind::Truth, &names).expect("fits");
    assert_eq!(condition.truth(&PhotoScope::new(&facts)), Ok(true));
}

#[test]
fn longest_and_deepest_conditions_fit_a_small_stack() {
    let texts = [
        ["1"; 1_000].join("+"),
        ["true"; 300].join("&&"),
        format!("path{}", ".x".repeat(990)),
        format!("{}1", "-".repeat(1_990)),
        format!("{}true", "!".repeat(1_990)),
        format!("{}true", "true?true:".repeat(190)),
        format!("{}1{}", "[".repeat(990), "]".repeat(990)),
        format!("{}1{}", "{1:".repeat(490), "}".repeat(490)),
        format!("icons{}", "[0]".repeat(600)),
        format!("icons{}", ".map(a,a)".repeat(200)),
        format!("size({})", ["1"; DEPTH_MAX - 3].join("+")),
    ];
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let thread = small.spawn(move || {
        let facts = photo(None);
        for text in texts {
            if let Ok(condition) = compiled(&text, Kind::Any) {
                let _either = condition.truth(&PhotoScope::new(&facts));
            }
        }
    });
    thread.expect("a thread").join().expect("no overflow and no panic");
}

#[test]
fn definitions_cannot_be_stacked_beyond_the_limits() {
    let icons = icons();
    let mut names = Names::of_icons(&icons);
    let mut text = "width_px > 1".to_owned();
    let mut refused = false;
    for index in 0..20 {
        match define(&text, &names) {
            Ok(defined) => {
                let name = format!("d{index}");
                text = format!("({name} ? {name} : {name}) && {name}");
                names.defined.insert(name, defined);
            }
            Err(mistakes) => {
                assert!(mistakes.iter().any(|m| m.message.contains("parts")), "{mistakes:?}");
                refused = true;
                break;
            }
        }
    }
    assert!(refused);

    let loops = define("icons.exists(a, icons.exists(b, a.x < b.x))", &names).expect("fits");
    names.defined.insert("pairs".to_owned(), loops);
    let mistakes = compile("icons.all(c, pairs)", Kind::Truth, &names).expect_err("three deep");
    assert_eq!(mistakes[0].message, "loops may be nested 2 deep, not deeper");
}

#[test]
fn definition_may_not_hide_what_means_something() {
    for name in ["icons", "has", "exists", "true", "Copies", "", "a-b", "é"] {
        assert!(!may_define(name), "{name}");
    }
    assert!(may_define("copies_2"));
}

/// Pieces of conditions, so that random texts get past the parser often.
fn pieces() -> impl Strategy<Value = String> {
    let words = [
        "icons",
        "path",
        "taken",
        "width_px",
        "i",
        "@tick",
        "@result",
        ".",
        ".name",
        ".exists(i,",
        ".all(i,",
        ".filter(i,",
        ".map(i,",
        "has(",
        "count(",
        "seen(",
        "\"canvas\"",
        "\"\"",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "?",
        ":",
        "==",
        "!=",
        "<",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        " in ",
        "0",
        "1",
        "9223372036854775807",
        "1.5",
        "1u",
        "null",
        "true",
        "size(",
        "double(",
        "int(",
        "string(",
        "matches(",
        "b\"x\"",
        "\n",
        "é",
        "🎈",
        "'",
        "\\",
    ];
    let piece = prop_oneof![
        9 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_conditions_never_panic(text in pieces()) {
        let facts = photo(Some("2026-07-01T10:00:00"));
        if let Ok(condition) = compiled(&text, Kind::Any) {
            let scope = PhotoScope::new(&facts);
            let _either = (condition.truth(&scope), condition.whole(&scope));
        }
    }
}
