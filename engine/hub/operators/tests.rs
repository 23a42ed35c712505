//! Roles, passwords, sessions, and the notes of what operators did.

use super::*;
use crate::store::hub::SqliteHub;

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const PASSWORD: &str = "correct horse battery";

/// A store with an administrator `ada`.
fn store() -> SqliteHub {
    let store = SqliteHub::in_memory().expect("a store");
    add(&store, &Actor::host(), "ada", PASSWORD, Role::Admin, NOW).expect("added");
    store
}

fn knock<'a>(name: &'a str, password: &'a str) -> Knock<'a> {
    Knock { name, password, remote: "192.0.2.1" }
}

#[test]
fn session_begins_with_the_password_and_ends_by_time_or_word() {
    let (store, door) = (store(), Door::default());
    let first = sign_in(&store, &door, knock("ada", PASSWORD), NOW).expect("signed in");
    let second = sign_in(&store, &door, knock("ada", PASSWORD), NOW).expect("signed in");
    assert_ne!(first.token, second.token);
    let who = |token: &str, now| session(&store, token, now).expect("read");
    let actor = who(&first.token, NOW).expect("a session");
    assert_eq!((actor.name(), actor.role()), ("ada", Role::Admin));
    assert_eq!(who("", NOW), None);
    assert_eq!(who(&first.token, NOW.plus_millis(SESSION_MS)), None, "its time is over");
    sign_out(&store, &first.token).expect("signed out");
    assert_eq!(who(&first.token, NOW), None);
    assert!(who(&second.token, NOW).is_some());
    // A new password, a new role or a closed door ends what was open.
    change_password(&store, &actor, "ada", "another good password", NOW).expect("changed");
    assert_eq!(who(&second.token, NOW), None);
    let wrong = sign_in(&store, &door, knock("ada", PASSWORD), NOW);
    assert!(matches!(wrong, Err(OperatorError::Wrong)), "{wrong:?}");
    let third = sign_in(&store, &door, knock("ada", "another good password"), NOW);
    let third = third.expect("signed in");
    change(&store, &Actor::host(), "ada", Change::Active(false), NOW).expect("disabled");
    assert_eq!(who(&third.token, NOW), None);
    let disabled = sign_in(&store, &door, knock("ada", "another good password"), NOW);
    assert!(matches!(disabled, Err(OperatorError::Wrong)), "nobody is told why");
}

#[test]
fn five_wrong_passwords_lock_a_name_at_an_address_for_a_while() {
    let (store, door) = (store(), Door::default());
    for _ in 0..5 {
        let wrong = sign_in(&store, &door, knock("ada", "wrong password"), NOW);
        assert!(matches!(wrong, Err(OperatorError::Wrong)));
    }
    let locked = sign_in(&store, &door, knock("ada", PASSWORD), NOW);
    assert!(matches!(locked, Err(OperatorError::Wait { wait_ms: WAIT_MS })), "{locked:?}");
    let elsewhere = Knock { remote: "192.0.2.2", ..knock("ada", PASSWORD) };
    sign_in(&store, &door, elsewhere, NOW).expect("she is somewhere else");
    sign_in(&store, &door, knock("ada", PASSWORD), NOW.plus_millis(WAIT_MS)).expect("later");
    // Names that are not there cost tries as well, and in the end the whole address waits.
    let door = Door::default();
    for number in 0..20 {
        let wrong = sign_in(&store, &door, knock(&format!("nobody{number}"), PASSWORD), NOW);
        assert!(matches!(wrong, Err(OperatorError::Wrong)));
    }
    let locked = sign_in(&store, &door, knock("ada", PASSWORD), NOW);
    assert!(matches!(locked, Err(OperatorError::Wait { .. })), "{locked:?}");
}

#[test]
fn operators_are_made_and_changed_by_administrators_alone() {
    let store = store();
    let (viewer, admin) = (actor("vera", Role::Viewer), actor("ada", Role::Admin));
    let operator = actor("otto", Role::Operator);
    for who in [&viewer, &operator] {
        let refused = add(&store, who, "eve", PASSWORD, Role::Admin, NOW);
        assert!(matches!(refused, Err(OperatorError::Role { .. })), "{refused:?}");
        let refused = change(&store, who, "ada", Change::Active(false), NOW);
        assert!(matches!(refused, Err(OperatorError::Role { .. })), "{refused:?}");
        let refused = change_password(&store, who, "ada", PASSWORD, NOW);
        assert!(matches!(refused, Err(OperatorError::Role { .. })), "{refused:?}");
    }
    add(&store, &admin, "vera", PASSWORD, Role::Viewer, NOW).expect("added");
    change_password(&store, &viewer, "vera", "her own new password", NOW).expect("her own");
    for name in ["vera", "host", "agent", "", "Vera", "a b", "ä", &*"a".repeat(41)] {
        let refused = add(&store, &admin, name, PASSWORD, Role::Viewer, NOW);
        assert!(matches!(refused, Err(OperatorError::Refused(_))), "{name}: {refused:?}");
    }
    let nobody = change(&store, &admin, "nobody", Change::Role(Role::Admin), NOW);
    assert!(matches!(nobody, Err(OperatorError::Refused(_))), "{nobody:?}");
    let actions = store.actions(10).expect("actions");
    let told: Vec<_> = actions
        .iter()
        .map(|row| (&*row.operator, &*row.action, &*row.subject, &*row.detail))
        .collect();
    let expected = [
        ("vera", "operator.password", "vera", "password changed: viewer active"),
        ("ada", "operator.set", "vera", "added: viewer active"),
        (HOST, "operator.set", "ada", "added: admin active"),
    ];
    assert_eq!(told, expected);
    assert!(!format!("{actions:?}").contains("argon2"), "no hashes in the list");
}

fn actor(name: &str, role: Role) -> Actor {
    Actor { name: name.into(), role }
}

#[test]
fn password_is_kept_as_owasp_says_and_told_from_others() {
    let kept = hash("correct horse battery").expect("hashed");
    assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
    assert_ne!(kept, hash("correct horse battery").expect("hashed"), "a salt each");
    assert!(is_password(&kept, "correct horse battery"));
    assert!(!is_password(&kept, "correct horse batterz"));
    assert!(!is_password(NOBODY, "") && !is_password("", "") && !is_password("nonsense", "a"));
    for password in ["elevenchars", &"a".repeat(1025)] {
        assert!(matches!(hash(password), Err(OperatorError::Password)), "{password}");
    }
}

#[test]
fn name_that_is_not_there_is_compared_with_the_same_effort() {
    let nobody = PasswordHash::new(NOBODY).expect("a PHC text");
    let kept = hash("correct horse battery").expect("hashed");
    let kept = PasswordHash::new(&kept).expect("a PHC text");
    assert_eq!((nobody.algorithm, nobody.version), (kept.algorithm, kept.version));
    assert_eq!(nobody.params, kept.params);
}

#[test]
fn roles_may_what_stands_in_the_table_and_nothing_else() {
    use Action::{
        ChangePassword, Invite, Lose, PayOut, PutOperator, PutProvider, RemoveAgent, RenewSecret,
        SetMoney, SetProviderState, TopUp,
    };
    let operators =
        [Invite, Lose, RemoveAgent, PutProvider, SetProviderState, RenewSecret, ChangePassword];
    let admins = [SetMoney, TopUp, PayOut, PutOperator];
    assert_eq!(operators.len() + admins.len(), Action::ALL.len());
    for action in Action::ALL {
        assert_eq!(may(Role::Viewer, action), action == ChangePassword, "{action:?}");
        assert_eq!(may(Role::Operator, action), operators.contains(&action), "{action:?}");
        assert!(may(Role::Admin, action), "{action:?}");
    }
}
