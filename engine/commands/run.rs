//! `signet run`: the agent. Shows what happens, line by line.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::agent::{Agent, AgentEvent, Wishes};
use crate::base::clock::Timestamp;
use crate::base::home::Home;
use crate::base::money::decimal;
use crate::store::orders::words as order_words;
use crate::store::{Hold, Order, OrderState};

use super::people::{self, Standing};
use super::{CommandError, Context, Outcome, failed, output, serving};

/// What the user typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Let photos order that were there before the first start
    #[arg(long)]
    include_existing: bool,
}

/// Runs the agent until Ctrl-C.
///
/// # Errors
/// As the message says; nothing is half done then.
pub fn run(args: &Args, context: &Context) -> Result<Outcome, CommandError> {
    let home = Home::open(&context.home).map_err(failed)?;
    let agent = Agent::open(home).map_err(failed)?;
    let wishes = Wishes { include_existing: args.include_existing };
    if agent.config().collections.is_empty() && !context.json {
        output::line("no collection is watched: add a [[collection]] to signet.toml");
    }
    if !context.json
        && let Some(line) = people_line(&people::standing(agent.home(), Timestamp::now())?)
    {
        output::line(line);
    }
    let json = context.json;
    serving::block_on(async move |shutdown| {
        let listener = serving::listen(&agent.config().serve.listen).await?;
        let screen = Arc::new(Screen::new(json));
        let tell = Arc::new(move |event| screen.show(&event));
        agent.run(listener, wishes, shutdown, tell).await.map_err(failed)
    })?;
    Ok(Outcome::Done)
}

/// Who is recognised, without a name; nothing where nobody is enrolled.
fn people_line(standing: &Standing) -> Option<String> {
    let Standing { people_count, recognised_count, ending, over, has_networks, .. } = standing;
    match (people_count, has_networks) {
        (0, _) => None,
        (_, false) => Some(format!(
            "{people_count} people are enrolled and not recognised: `signet models pull faces` \
             fetches the networks for that"
        )),
        (_, true) => {
            let mut line = format!("{recognised_count} of {people_count} people are recognised");
            let consents = [(ending.len(), "ends soon"), (over.len(), "is over")];
            for (count, what) in consents.into_iter().filter(|(count, _)| *count > 0) {
                line = format!("{line}; consent of {count} {what}");
            }
            if !(ending.is_empty() && over.is_empty()) {
                line.push_str(": `signet people list`");
            }
            Some(line)
        }
    }
}

/// Where events go: lines for people or programs, a counter during scans on a terminal.
struct Screen {
    json: bool,
    scan: Mutex<Option<ProgressBar>>,
    terminal: bool,
}

impl Screen {
    fn new(json: bool) -> Self {
        Self { json, scan: Mutex::new(None), terminal: std::io::stderr().is_terminal() }
    }

    fn show(&self, event: &AgentEvent) {
        if self.json {
            output::json(event);
            return;
        }
        let mut scan = self.scan.lock().unwrap_or_else(PoisonError::into_inner);
        if let AgentEvent::Scanning { collection, files_count, done: false } = event {
            if self.terminal {
                let bar = scan.get_or_insert_with(spinner);
                bar.set_message(format!("{collection}: {files_count} photos"));
            }
            return;
        }
        if let (AgentEvent::Scanning { .. }, Some(bar)) = (event, scan.take()) {
            bar.finish_and_clear();
        }
        if let Some(text) = words(event) {
            match scan.as_ref() {
                Some(bar) => bar.suspend(|| output::line(text)),
                None => output::line(text),
            }
        }
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} scanning {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// An order that was planned, in words.
fn planned(order: &Order) -> String {
    let what = order_words(order);
    let (key, provider) = (&order.order_key, &order.provider);
    match order.state {
        OrderState::Ask => format!(
            "  waits for you: {what} from {provider}: {}; signet orders approve {key}",
            order.reason
        ),
        OrderState::Refused => format!("  not ordered: {what} from {provider}: {}", order.reason),
        state => {
            let price = format!("{} {}", decimal(order.price_minor), order.currency);
            let order_words =
                format!("order {key}: {what} from {provider}, {price}: {}", order.origin);
            match (state, order.hold) {
                (OrderState::Held, Some(Hold { until, .. })) => {
                    format!("  held until {until}: {order_words}; signet orders cancel {key}")
                }
                (OrderState::Planned, Some(Hold { until, .. })) => {
                    format!("  goes with others at {until}: {order_words}")
                }
                _ => format!("  {order_words}"),
            }
        }
    }
}

/// An event in words; nothing for what people need not see.
fn words(event: &AgentEvent) -> Option<String> {
    Some(match event {
        AgentEvent::HubLied { words, .. } => format!("  THE HUB LIES: {words}"),
        AgentEvent::HubLogWaits { words } => format!("  {words}"),
        AgentEvent::Listening { address } => format!("providers can fetch at http://{address}"),
        AgentEvent::HubConnected { hub } => format!("connected to the hub {hub}"),
        AgentEvent::HubAway { hub, why } => {
            format!("the hub {hub} is not reached: {why}; it is called again")
        }
        AgentEvent::Staged { order_key, provider, name } => {
            format!("  order {order_key}: a sealed copy of {name} waits at the hub for {provider}")
        }
        AgentEvent::Scanning { collection, files_count, .. } => {
            format!("{collection}: {files_count} photos, watching")
        }
        AgentEvent::Reachable { collection, online: true } => format!("{collection}: back online"),
        AgentEvent::Reachable { collection, online: false } => {
            format!("{collection}: offline; nothing is forgotten, it is watched again once back")
        }
        AgentEvent::Copied { collection, fetched_count, removed_count, held_count } => {
            let held = match held_count {
                0 => String::new(),
                _ => format!("; {held_count} are missing there and stay until that is sure"),
            };
            format!(
                "{collection}: {fetched_count} files came from its store, {removed_count} went{held}"
            )
        }
        AgentEvent::EventsLost { collection, times_count } => format!(
            "{collection}: more happened at once than the system tells ({times_count} times so \
             far); everything is compared with the disk"
        ),
        AgentEvent::Photo { collection, path, icons, card, existing, .. } => {
            if icons.is_empty() {
                return None;
            }
            let note = match (card, existing) {
                (true, _) => " (a card, for the photos behind it)",
                (false, true) => " (was there before, orders nothing)",
                (false, false) => "",
            };
            format!("{collection}/{}: {}{note}", path.display(), icons.join(", "))
        }
        AgentEvent::Companion { collection, path, role, photos_count } => {
            let photos = match photos_count {
                0 => "no photo beside it yet".to_owned(),
                1 => "of the photo beside it".to_owned(),
                count => format!("of {count} photos beside it"),
            };
            format!("{collection}/{}: {role}, {photos}", path.display())
        }
        AgentEvent::PrintOrder { collection, path, jobs_count, notes } => {
            let notes: String = notes.iter().map(|note| format!("; {note}")).collect();
            let jobs = format!("a print order, names {jobs_count} photos{notes}");
            format!("{collection}/{}: {jobs}", path.display())
        }
        AgentEvent::Unreadable { collection, path, error } => {
            format!("{collection}/{}: cannot be read: {error}", path.display())
        }
        AgentEvent::Planned(order) => planned(order),
        AgentEvent::Changed(order) => format!("{} (changed)", planned(order)),
        AgentEvent::Withdrawn { order_key } => {
            format!("  order {order_key} taken back: the icons no longer ask for it")
        }
        AgentEvent::Stays { order_key, path } => format!(
            "  order {order_key} for {path} stays as it is: it is on its way, and a card that \
             arrived later changes nothing about it"
        ),
        AgentEvent::Note { collection, path, text } => {
            format!("{collection}/{}: {text}", path.display())
        }
        AgentEvent::KeptPrivately { collection, path, copy } => {
            format!("{collection}/{}: kept privately as {}", path.display(), copy.display())
        }
        AgentEvent::Accepted { order_key, provider } => {
            format!("  {provider} has order {order_key}")
        }
        AgentEvent::Postponed { order_key, reason, next_attempt } => {
            format!("  order {order_key} waits until {next_attempt}: {reason}")
        }
        AgentEvent::Moved { order_key, state, note } => {
            format!("  order {order_key} {state}: {note}")
        }
        AgentEvent::Ended { order_key, state, reason } => {
            format!("  order {order_key} {state}: {reason}")
        }
        AgentEvent::Accessed {
            provider,
            member,
            name,
            bytes_count,
            fee_minor,
            currency,
            order_key,
        } => {
            format!(
                "  {provider} fetched the {member} {name} ({bytes_count} bytes) for {order_key}, \
                 pays {} {currency}",
                decimal(*fee_minor)
            )
        }
        AgentEvent::Reversed { order_key, provider, member, name, fee_minor, currency } => {
            format!(
                "  {provider} received another {member} {name} than was granted for {order_key}: \
                 {} {currency} posted back",
                decimal(*fee_minor)
            )
        }
        AgentEvent::Done { order_key } => format!("  order {order_key} done"),
        AgentEvent::Refused { remote, reason, .. } => format!("  REFUSED {remote}: {reason}"),
        AgentEvent::Rules { revision, mistakes } if mistakes.is_empty() => {
            format!("rules: revision {revision} in force")
        }
        AgentEvent::Rules { revision, mistakes } => {
            let mistakes: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            format!("rules: revision {revision} stays in force: {}", mistakes.join("; "))
        }
        AgentEvent::RuleFailed { path, failure } => format!("{}: {failure}", path.display()),
        AgentEvent::Warning { text } => format!("note: {text}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_says_how_many_people_are_recognised_and_never_who() {
        let check = |standing: Standing, expected: Option<&str>| {
            assert_eq!(people_line(&standing).as_deref(), expected);
        };
        let standing = |people_count, has_networks| Standing {
            people_count,
            recognised_count: 0,
            ending: Vec::new(),
            over: Vec::new(),
            foreign: Vec::new(),
            has_networks,
        };
        check(standing(0, false), None);
        check(standing(0, true), None);
        let pull = "2 people are enrolled and not recognised: `signet models pull faces` fetches the \
                    networks for that";
        check(standing(2, false), Some(pull));
        let all = Standing { recognised_count: 2, ..standing(2, true) };
        check(all, Some("2 of 2 people are recognised"));
        let some = Standing {
            recognised_count: 1,
            ending: vec!["Anna (2027-01-01)".into()],
            over: vec!["Ben".into()],
            ..standing(2, true)
        };
        let words = "1 of 2 people are recognised; consent of 1 ends soon; consent of 1 is over: \
                     `signet people list`";
        check(some, Some(words));
    }
}
