//! Shapes of the API: what callers send and get, as OpenAPI describes it.
//!
//! Rows of the store are not handed out: a view names what a caller may see, so that a new column
//! is not shown by accident. Moments are RFC 3339 in UTC, money is in minor units, debits positive;
//! fields that nobody knows are refused.

use serde::{Deserialize, Serialize};
use utoipa::openapi::KnownFormat;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::{IntoParams, ToSchema};

use super::api::moment;
use super::problem::{Kind, Problem};
use crate::base::clock::Timestamp;
use crate::base::ids::ContentHash;
use crate::base::member::Member;
use crate::hub::enrol::LABEL_CHARS_MAX;
use crate::ledger::evidence::Evidence;
use crate::store::Purpose;
use crate::store::hub::{
    AccountLine, ActionRow, AgentRow, AgentState, NoticeRow, OfferRow, Posting, PostingKind, Price,
    ProviderRow, ProviderState, Role,
};

/// Entries of one page unless the caller says otherwise.
const PAGE_USUAL: u32 = 100;

/// Most entries of one page.
pub(super) const PAGE_MAX: u32 = 500;

/// Longest span that one statement covers: a quarter.
const SPAN_MS: i64 = 92 * 86_400_000;

fn words(words: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// The same schema for what may be absent.
fn or_null(mut schema: Object) -> Object {
    schema.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
    if let Some(words) = &mut schema.enum_values {
        words.push(serde_json::Value::Null);
    }
    schema
}

fn member_or_null_schema() -> Object {
    or_null(member_schema())
}

fn purpose_or_null_schema() -> Object {
    or_null(purpose_schema())
}

fn moment_or_null_schema() -> Object {
    or_null(moment_schema())
}

fn hash_or_null_schema() -> Object {
    or_null(hash_schema())
}

fn member_schema() -> Object {
    words(Member::ALL.map(Member::as_str))
}

fn purpose_schema() -> Object {
    words(["print", "share"])
}

fn provider_state_schema() -> Object {
    words(["active", "paused", "closed"])
}

fn moment_schema() -> Object {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
}

fn hash_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-f]{64}$")).build()
}

/// A line of text: at most 200 characters, none of them a control character.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Line(pub String);

impl TryFrom<String> for Line {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.chars().count() <= 200 && !text.chars().any(char::is_control) {
            true => Ok(Self(text)),
            false => Err("a line has 200 characters at most and no control characters"),
        }
    }
}

fn line_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(200))
        .pattern(Some(r"^[^\u0000-\u001F\u007F-\u009F]*$"))
        .build()
}

fn label_schema() -> Object {
    let mut schema = line_schema();
    (schema.min_length, schema.max_length) = (Some(1), Some(LABEL_CHARS_MAX));
    schema
}

fn reference_schema() -> Object {
    let mut schema = line_schema();
    schema.min_length = Some(1);
    schema
}

/// A moment on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At(pub Timestamp);

impl Serialize for At {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// `next` of the page before.
    #[param(min_length = 1, max_length = 200)]
    pub after: Option<String>,
    /// Entries of the page; 100 unless said otherwise.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// How many entries of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Newest {
    /// Entries, newest first; 100 unless said otherwise.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// Which span of time.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SpanAsked {
    /// From then on; the beginning of this month in UTC unless said otherwise.
    #[param(schema_with = moment_schema)]
    pub from: Option<String>,
    /// Until before then; now unless said otherwise.
    #[param(schema_with = moment_schema)]
    pub to: Option<String>,
}

/// Which accesses, and whether with proofs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AccessesAsked {
    /// From then on; the beginning of this month in UTC unless said otherwise.
    #[param(schema_with = moment_schema)]
    pub from: Option<String>,
    /// Until before then; now unless said otherwise.
    #[param(schema_with = moment_schema)]
    pub to: Option<String>,
    /// Whether each comes with the proof that the owner's log has it; not unless said so.
    pub proof: Option<bool>,
}

impl Page {
    /// The last entry of the page before.
    pub(super) fn after(&self) -> Result<Option<&str>, Problem> {
        match self.after.as_deref() {
            Some(after) if after.is_empty() || after.chars().count() > 200 => {
                Err(Problem::new(Kind::Malformed, "`after` is `next` of the page before"))
            }
            after => Ok(after),
        }
    }
}

/// Checks how many entries a page has.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked.unwrap_or(PAGE_USUAL) {
        count @ 1..=PAGE_MAX => Ok(count),
        _ => Err(Problem::new(Kind::Malformed, format!("`limit` is 1 to {PAGE_MAX}"))),
    }
}

/// A span of time with what is left of it when it was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
    pub is_cut: bool,
}

impl SpanAsked {
    /// The span, a quarter of a year at most.
    pub(super) fn span(&self, now: Timestamp) -> Result<Span, Problem> {
        let read = |text: &Option<String>, field| {
            text.as_deref().map(|text| moment(text, field)).transpose()
        };
        let from = read(&self.from, "from")?.unwrap_or_else(|| now.month_start());
        let to = read(&self.to, "to")?.unwrap_or(now.plus_millis(1)).max(from);
        let end = from.plus_millis(SPAN_MS).min(to);
        Ok(Span { from, to: end, is_cut: end < to })
    }
}

/// What one access costs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceView {
    /// For this member; absent: for all that have no price of their own.
    #[schema(schema_with = member_or_null_schema, required = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<Member>,
    /// For this purpose; absent: for all.
    #[schema(schema_with = purpose_or_null_schema, required = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// For pictures up to so many megapixels; absent: for all.
    #[schema(minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub megapixels_max: Option<u32>,
    /// Minor units.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub fee_minor: i64,
}

impl From<&Price> for PriceView {
    fn from(price: &Price) -> Self {
        let Price { member, purpose, megapixels_max, fee_minor } = *price;
        Self { member, purpose, megapixels_max, fee_minor }
    }
}

impl From<PriceView> for Price {
    fn from(view: PriceView) -> Self {
        let PriceView { member, purpose, megapixels_max, fee_minor } = view;
        Self { member, purpose, megapixels_max, fee_minor }
    }
}

/// A provider, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProviderView {
    /// Its name here.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    name: String,
    /// Its Ed25519 key, base64url; null: it knows addresses only.
    key: Option<String>,
    /// Whether it has a secret for this API.
    has_secret: bool,
    /// What it may get photos for.
    #[schema(schema_with = purposes_schema)]
    purposes: Vec<Purpose>,
    /// Currency of its account.
    #[schema(pattern = "^[A-Z]{3}$")]
    currency: String,
    /// What it may still fetch for, minor units: what it paid in and its credit limit, less what
    /// was posted and what is set aside.
    credit_minor: i64,
    /// What is set aside for deliveries that have begun, minor units.
    reserved_minor: i64,
    /// What is on its account, minor units, debits positive: below zero is money of the provider.
    balance_minor: i64,
    /// How far it may go without paying in, minor units.
    credit_limit_minor: i64,
    /// Part of each fee that the service keeps.
    #[schema(minimum = 0, maximum = 100)]
    service_percent: u8,
    /// Requests a minute that it may make.
    requests_per_minute: u32,
    /// Accesses a day after which it is paused.
    accesses_per_day: u32,
    /// Whether it may fetch.
    #[schema(schema_with = provider_state_schema)]
    state: ProviderState,
    /// Why it is in that state.
    why: String,
    /// What it pays.
    prices: Vec<PriceView>,
    /// Where it is told of things; null: nowhere.
    webhook: Option<String>,
}

fn purposes_schema() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new().items(purpose_schema()).build()
}

/// What is on the account of a provider.
#[derive(Debug, Clone, Copy)]
pub(super) struct Funds {
    pub balance_minor: i64,
    pub reserved_minor: i64,
}

impl ProviderView {
    /// What a caller may see of a row.
    pub(super) fn of(row: &ProviderRow, funds: Funds) -> Self {
        let Funds { balance_minor, reserved_minor } = funds;
        let credit_minor = row.credit_limit_minor.saturating_sub(balance_minor);
        Self {
            name: row.name.clone(),
            key: row.key.clone(),
            has_secret: row.secret_hash.is_some(),
            purposes: row.purposes.clone(),
            currency: row.currency.clone(),
            credit_minor: credit_minor.saturating_sub(reserved_minor),
            reserved_minor,
            balance_minor,
            credit_limit_minor: row.credit_limit_minor,
            service_percent: row.service_percent,
            requests_per_minute: row.requests_per_minute,
            accesses_per_day: row.accesses_per_day,
            state: row.state,
            why: row.why.clone(),
            prices: row.prices.iter().map(PriceView::from).collect(),
            webhook: Some(row.notify_url.clone()).filter(|url| !url.is_empty()),
        }
    }
}

/// Something that a provider may fetch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OfferView {
    /// The owner's computer.
    agent: String,
    /// The grant.
    grant: String,
    /// The order that made it.
    order: String,
    /// What it is.
    #[schema(schema_with = member_schema)]
    member: Member,
    /// For what.
    #[schema(schema_with = purpose_schema)]
    purpose: Purpose,
    /// Digest of the bytes.
    #[schema(schema_with = hash_schema)]
    sha256: ContentHash,
    /// Their length.
    bytes: u64,
    /// What the first complete delivery costs, minor units.
    fee_minor: i64,
    /// Currency of the fee.
    currency: String,
    /// Until when it holds.
    #[schema(schema_with = moment_schema)]
    expires_at: At,
    /// Where providers with a key fetch it, with the grant that came with the order; those without
    /// have the whole address in their order.
    url: String,
}

impl OfferView {
    pub(super) fn of(offer: OfferRow, base_url: &str) -> Self {
        let url = format!("{base_url}/o/{}/v1/grants/{}/content", offer.agent_id, offer.grant_id);
        Self {
            agent: offer.agent_id,
            grant: offer.grant_id,
            order: offer.order_key,
            member: offer.member,
            purpose: offer.purpose,
            sha256: offer.digest,
            bytes: offer.bytes_count,
            fee_minor: offer.fee_minor,
            currency: offer.currency,
            expires_at: At(offer.expires_at),
            url,
        }
    }
}

/// A page of offers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OffersPage {
    pub offers: Vec<OfferView>,
    /// `after` of the next page; null: this was the last.
    pub next: Option<String>,
}

/// What an account line is about.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccessView {
    /// The owner's computer.
    agent: String,
    /// The grant.
    grant: String,
    /// 0 for the first delivery; one more after each reversal.
    turn: u32,
    /// The order that made the grant; null where the hub has forgotten it.
    order: Option<String>,
    /// What was delivered.
    #[schema(schema_with = member_or_null_schema)]
    member: Option<Member>,
    /// Digest of the bytes.
    #[schema(schema_with = hash_or_null_schema)]
    sha256: Option<ContentHash>,
    /// Their length.
    bytes: Option<u64>,
    /// Place in the owner's log of the leaf that tells of it.
    leaf_index: u64,
    /// That the owner's log has it; absent where it was not asked for, or while the owner's
    /// computer has not signed that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    proof: Option<ProofView>,
}

/// Proof that a leaf is in the log of an owner's computer (RFC 6962).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProofView {
    /// Place of the leaf in the log, from 0.
    index: u64,
    /// The leaf as it is hashed: JSON text.
    leaf: String,
    /// Hashes from the leaf to the root, base64url.
    #[schema(schema_with = path_schema)]
    path: Vec<String>,
    /// The signed head: a C2SP checkpoint, whose origin names the computer.
    head: String,
    /// The Ed25519 key that signed it, base64url. Its thumbprint (RFC 7638) is the computer's id
    /// as long as that has the key with which it joined.
    key: String,
}

fn path_schema() -> utoipa::openapi::schema::Array {
    let hash =
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]{43}$")).build();
    utoipa::openapi::schema::ArrayBuilder::new().items(hash).build()
}

impl From<Evidence> for ProofView {
    fn from(evidence: Evidence) -> Self {
        let Evidence { index, leaf, path, head, key } = evidence;
        Self { index, leaf, path, head, key }
    }
}

/// A line of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineView {
    /// Names the posting for good.
    posting: String,
    /// When it happened.
    #[schema(schema_with = moment_schema)]
    at: At,
    /// When it was posted, which decides the span that it counts in.
    #[schema(schema_with = moment_schema)]
    posted_at: At,
    /// What it is.
    #[schema(schema_with = posting_kind_schema)]
    kind: PostingKind,
    /// In words.
    note: String,
    /// What it did to the account, minor units, debits positive: a fee is above zero.
    minor: i64,
    /// What was on the account after it.
    balance_minor: i64,
    /// Currency of both.
    currency: String,
    /// The delivery; null for money alone.
    access: Option<AccessView>,
}

fn posting_kind_schema() -> Object {
    words(["access", "reversal", "top-up", "pay-out"])
}

impl LineView {
    pub(super) fn of(line: AccountLine) -> Self {
        let AccountLine { posting, minor, balance_minor, offer } = line;
        let access = posting.access.map(|access| AccessView {
            agent: access.agent_id,
            grant: access.grant_id,
            turn: access.turn,
            order: offer.as_ref().map(|offer| offer.order_key.clone()),
            member: offer.as_ref().map(|offer| offer.member),
            sha256: offer.as_ref().map(|offer| offer.digest),
            bytes: offer.as_ref().map(|offer| offer.bytes_count),
            leaf_index: access.leaf_index,
            proof: None,
        });
        Self {
            posting: posting.posting_id,
            at: At(posting.at),
            posted_at: At(posting.posted_at),
            kind: posting.kind,
            note: posting.note,
            minor,
            balance_minor,
            currency: posting.currency,
            access,
        }
    }
}

/// Lines of an account over a span of time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatementView {
    /// Whose.
    pub account: String,
    /// The first moment that is covered.
    #[schema(schema_with = moment_schema)]
    pub from: At,
    /// The first moment that is not covered any more.
    #[schema(schema_with = moment_schema)]
    pub to: At,
    /// Where the rest of what was asked for begins; null: there is none.
    #[schema(schema_with = moment_or_null_schema)]
    pub next_from: Option<At>,
    pub lines: Vec<LineView>,
}

/// Most lines of one statement.
const LINES_MAX: usize = 2000;

/// Where a list that is too long is cut: before the first moment that does not fit. Lists are in the
/// order of posting, which is not always that of time.
fn cut_at(moments: impl Iterator<Item = Timestamp>) -> Option<Timestamp> {
    let mut moments: Vec<_> = moments.collect();
    moments.sort_unstable();
    let last = *moments.get(LINES_MAX - 1)?;
    moments.into_iter().find(|moment| *moment > last)
}

impl StatementView {
    /// A statement of lines in their order; cut between two moments where there are too many.
    pub(super) fn of(account: String, span: Span, lines: Vec<AccountLine>) -> Self {
        let cut_at = cut_at(lines.iter().map(|line| line.posting.posted_at));
        let to = cut_at.unwrap_or(span.to);
        let is_cut = span.is_cut || cut_at.is_some();
        let lines =
            lines.into_iter().filter(|line| line.posting.posted_at < to || cut_at.is_none());
        Self {
            account,
            from: At(span.from),
            to: At(to),
            next_from: is_cut.then_some(At(to)),
            lines: lines.map(LineView::of).collect(),
        }
    }

    /// Puts the proof beside each line that is about an access.
    ///
    /// - `evidence`: of a leaf of an agent's log
    pub(super) fn prove<E>(
        &mut self,
        evidence: impl Fn(&str, u64) -> Result<Option<Evidence>, E>,
    ) -> Result<(), E> {
        for access in self.lines.iter_mut().filter_map(|line| line.access.as_mut()) {
            access.proof = evidence(&access.agent, access.leaf_index)?.map(ProofView::from);
        }
        Ok(())
    }
}

/// Where a provider wants to be told of things.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookAsk {
    /// An address that takes POST.
    #[schema(max_length = 2048, pattern = "^https?://")]
    pub url: String,
}

/// Where a provider is told of things.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookView {
    /// The address; null: nowhere.
    pub url: Option<String>,
    /// The secret that signs notices (Standard Webhooks); said once, when the address is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub secret: Option<String>,
}

/// Something that a provider is told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NoticeView {
    /// `webhook-id` and id of the event; the same over all tries.
    id: String,
    /// Type of the event.
    r#type: String,
    /// When it came up.
    #[schema(schema_with = moment_schema)]
    made_at: At,
    /// When it was sent or given up; null: it will be tried again.
    #[schema(schema_with = moment_or_null_schema)]
    settled_at: Option<At>,
    /// Tries so far that failed.
    tries: u32,
    /// Data of the event.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

impl NoticeView {
    pub(super) fn of(notice: NoticeRow) -> Self {
        Self {
            id: notice.notice_id,
            r#type: notice.kind,
            made_at: At(notice.made_at),
            settled_at: notice.settled_at.map(At),
            tries: notice.attempts_count,
            data: serde_json::from_str(&notice.data).unwrap_or_default(),
        }
    }
}

/// Notices, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NoticesView {
    pub notices: Vec<NoticeView>,
}

/// A notice that is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NoticeMade {
    /// Its id.
    pub id: String,
}

/// An owner's computer, for operators.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentView {
    /// Its id.
    id: String,
    /// What operators call it.
    label: String,
    /// Whether it may connect.
    #[schema(schema_with = agent_state_schema)]
    state: AgentState,
    /// Why it is in that state.
    why: String,
    /// When it joined.
    #[schema(schema_with = moment_schema)]
    joined_at: At,
    /// When it was last connected.
    #[schema(schema_with = moment_or_null_schema)]
    seen_at: Option<At>,
}

fn agent_state_schema() -> Object {
    words(["active", "lost", "left"])
}

impl From<AgentRow> for AgentView {
    fn from(row: AgentRow) -> Self {
        Self {
            id: row.agent_id,
            label: row.label,
            state: row.state,
            why: row.why,
            joined_at: At(row.joined_at),
            seen_at: row.seen_at.map(At),
        }
    }
}

/// A page of owners' computers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentsPage {
    pub agents: Vec<AgentView>,
    /// `after` of the next page; null: this was the last.
    pub next: Option<String>,
}

/// All providers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProvidersView {
    pub providers: Vec<ProviderView>,
}

/// What an operator did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActionView {
    /// When.
    #[schema(schema_with = moment_schema)]
    at: At,
    /// Who; `host` for commands on the hub's own computer, `hub` for the hub itself.
    operator: String,
    /// What.
    action: String,
    /// To whom or what.
    subject: String,
    /// With which values.
    detail: String,
}

impl From<ActionRow> for ActionView {
    fn from(row: ActionRow) -> Self {
        let ActionRow { at, operator, action, subject, detail } = row;
        Self { at: At(at), operator, action, subject, detail }
    }
}

/// What operators did, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActionsView {
    pub actions: Vec<ActionView>,
}

/// What is on an account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BalanceView {
    /// `provider:NAME`, `owner:AGENT`, `service` or `cash`.
    pub account: String,
    /// Its currency.
    pub currency: String,
    /// Minor units, debits positive.
    pub minor: i64,
}

/// All accounts. The sum over each currency is zero.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BalancesView {
    pub balances: Vec<BalanceView>,
}

/// Every mistake that the books have.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditView {
    /// In words; none is the only good answer.
    pub mistakes: Vec<String>,
}

/// One line of a posting.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryView {
    /// Account.
    account: String,
    /// Minor units, debits positive.
    minor: i64,
}

/// A balanced set of entries.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PostingView {
    /// Names it for good.
    id: String,
    /// When.
    #[schema(schema_with = moment_schema)]
    at: At,
    /// When it was posted, which decides the span that it counts in.
    #[schema(schema_with = moment_schema)]
    posted_at: At,
    /// What it is.
    #[schema(schema_with = posting_kind_schema)]
    kind: PostingKind,
    /// In words.
    note: String,
    /// Currency of all entries.
    currency: String,
    /// They add up to zero.
    entries: Vec<EntryView>,
}

impl From<Posting> for PostingView {
    fn from(posting: Posting) -> Self {
        let entry =
            |entry: crate::store::Entry| EntryView { account: entry.account, minor: entry.minor };
        Self {
            id: posting.posting_id,
            at: At(posting.at),
            posted_at: At(posting.posted_at),
            kind: posting.kind,
            note: posting.note,
            currency: posting.currency,
            entries: posting.entries.into_iter().map(entry).collect(),
        }
    }
}

/// Postings over a span of time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LedgerView {
    /// The first moment that is covered.
    #[schema(schema_with = moment_schema)]
    pub from: At,
    /// The first moment that is not covered any more.
    #[schema(schema_with = moment_schema)]
    pub to: At,
    /// Where the rest of what was asked for begins; null: there is none.
    #[schema(schema_with = moment_or_null_schema)]
    pub next_from: Option<At>,
    pub postings: Vec<PostingView>,
}

impl LedgerView {
    /// As [`StatementView::of`].
    pub(super) fn of(span: Span, postings: Vec<Posting>) -> Self {
        let cut_at = cut_at(postings.iter().map(|posting| posting.posted_at));
        let to = cut_at.unwrap_or(span.to);
        let is_cut = span.is_cut || cut_at.is_some();
        let kept =
            postings.into_iter().filter(|posting| posting.posted_at < to || cut_at.is_none());
        Self {
            from: At(span.from),
            to: At(to),
            next_from: is_cut.then_some(At(to)),
            postings: kept.map(PostingView::from).collect(),
        }
    }
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    #[schema(min_length = 1, max_length = 40)]
    pub name: String,
    #[schema(min_length = 1, max_length = 1024, format = Password)]
    pub password: String,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    /// To be shown as `Authorization: Bearer`; said once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub token: Option<String>,
    /// Until when it holds; said once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = moment_schema, required = false)]
    pub expires_at: Option<At>,
    /// Who signed in.
    pub name: String,
    /// What they may do.
    #[schema(schema_with = role_schema)]
    pub role: Role,
}

fn role_schema() -> Object {
    words(["viewer", "operator", "admin"])
}

/// A code for one computer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InviteAsk {
    /// What operators call the computer.
    #[schema(schema_with = label_schema)]
    pub label: Line,
    /// Hours that the code is good for; 48 unless said otherwise.
    #[schema(minimum = 1, maximum = 720)]
    pub hours: Option<u32>,
    /// The lost agent whose place it takes.
    #[schema(min_length = 1, max_length = 100)]
    pub replaces: Option<String>,
}

/// A code that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InviteView {
    /// The code; said once.
    pub code: String,
    /// What the owner types.
    pub command: String,
    /// Until when it is good.
    #[schema(schema_with = moment_schema)]
    pub expires_at: At,
}

/// Why something is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// In words; nothing personal.
    #[schema(schema_with = line_schema)]
    pub why: Line,
}

/// Whether a provider may fetch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StateAsk {
    #[schema(schema_with = provider_state_schema)]
    pub state: ProviderState,
    /// In words.
    #[schema(schema_with = line_schema)]
    pub why: Line,
}

/// A provider that is added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderAsk {
    /// Its name here.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    pub name: String,
    /// Its Ed25519 key, base64url; absent: it knows addresses only.
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    pub key: Option<String>,
    /// Whether it gets a secret for this API.
    #[serde(default)]
    pub secret: bool,
    /// Everything else.
    #[serde(default)]
    pub terms: TermsAsk,
}

/// What is agreed with a provider; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TermsAsk {
    /// What it may get photos for.
    #[schema(schema_with = purposes_asked_schema, required = false)]
    pub purposes: Option<Vec<Purpose>>,
    /// Currency of its account; only while nothing is on it.
    #[schema(pattern = "^[A-Z]{3}$")]
    pub currency: Option<String>,
    /// How far its account may go below zero, minor units.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub credit_limit_minor: Option<i64>,
    /// Part of each fee that the service keeps.
    #[schema(minimum = 0, maximum = 100)]
    pub service_percent: Option<u8>,
    /// Requests a minute.
    #[schema(minimum = 1)]
    pub requests_per_minute: Option<u32>,
    /// Accesses a day.
    #[schema(minimum = 0)]
    pub accesses_per_day: Option<u32>,
}

fn purposes_asked_schema() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(purpose_schema())
        .min_items(Some(1))
        .max_items(Some(10))
        .build()
}

/// All prices of a provider.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PricesAsk {
    #[schema(max_items = 100)]
    pub prices: Vec<PriceView>,
}

/// A provider with what is said once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProviderTold {
    pub provider: ProviderView,
    /// Its new secret for this API.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub secret: Option<String>,
}

/// A payment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PaymentAsk {
    /// Minor units of the account's currency.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub minor: i64,
    /// Names the payment, such as the bank's number: the same is posted once.
    #[schema(schema_with = reference_schema)]
    pub reference: Line,
    /// In words.
    #[serde(default)]
    #[schema(schema_with = line_schema, required = false)]
    pub note: Line,
}

/// A payment of an owner.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PayOutAsk {
    /// Currency.
    #[schema(pattern = "^[A-Z]{3}$")]
    pub currency: String,
    /// The payment.
    pub payment: PaymentAsk,
}

/// A payment that is in the books.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PaidView {
    /// The posting.
    pub posting: PostingView,
    /// False when the same reference was posted before.
    pub is_new: bool,
    /// What is on the account now, minor units, debits positive.
    pub balance_minor: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Entry;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn line(at: i64) -> AccountLine {
        let posting = Posting {
            posting_id: at.to_string(),
            kind: PostingKind::TopUp,
            access: None,
            currency: "EUR".into(),
            at: Timestamp(at),
            posted_at: Timestamp(at),
            note: String::new(),
            entries: Vec::<Entry>::new(),
        };
        AccountLine { posting, minor: 1, balance_minor: 1, offer: None }
    }

    #[test]
    fn long_statement_is_cut_between_moments_and_says_where_it_goes_on() {
        let span = Span { from: Timestamp(0), to: Timestamp(100_000), is_cut: false };
        let lines: Vec<_> =
            (0..i64::try_from(LINES_MAX).expect("few") * 2).map(|n| line(n / 3)).collect();
        let all = lines.len();
        let mut from = Timestamp(0);
        let mut seen = 0;
        loop {
            let rest =
                lines.iter().filter(|line| line.posting.posted_at >= from).cloned().collect();
            let page = StatementView::of("provider:lab".into(), Span { from, ..span }, rest);
            assert!(page.lines.len() < LINES_MAX + 3);
            seen += page.lines.len();
            match page.next_from {
                Some(next) => from = next.0,
                None => break,
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn span_is_a_quarter_at_most_and_never_ends_before_it_begins() {
        let asked = |from: Option<&str>, to: Option<&str>| SpanAsked {
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let span = asked(None, None).span(NOW).expect("this month");
        assert_eq!((span.from, span.is_cut), (NOW.month_start(), false));
        let span = asked(Some("2026-01-01T00:00:00Z"), Some("2025-01-01T00:00:00Z")).span(NOW);
        let span = span.expect("empty");
        assert_eq!(span.from, span.to);
        let span = asked(Some("0001-01-01T00:00:00Z"), Some("9999-12-31T23:59:59Z")).span(NOW);
        assert!(span.expect("cut").is_cut);
        assert!(asked(Some("yesterday"), None).span(NOW).is_err());
    }
}
