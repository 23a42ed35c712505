//! What operators do over HTTP: `/v1/operator/…`.
//!
//! The same functions as the commands at the hub's own computer, in the name of whoever signed in:
//! roles are checked and actions noted there (`hub::operators::act`), not here.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};

use super::api::{Api, Asked, Body, Named, remote};
use super::caller::{self, Signed};
use super::problem::{Kind, Problem};
use super::provider_api::funds;
use super::views::{
    ActionView, ActionsView, AgentView, AgentsPage, At, AuditView, BalanceView, BalancesView,
    InviteAsk, InviteView, LedgerView, Newest, Page, PaidView, PayOutAsk, PaymentAsk, PostingView,
    PricesAsk, ProviderAsk, ProviderTold, ProviderView, ProvidersView, Reason, SessionView, SignIn,
    SpanAsked, StateAsk, TermsAsk, limit,
};
use crate::base::clock::Timestamp;
use crate::base::money::Currency;
use crate::hub::enrol;
use crate::hub::metrics::StoreWork;
use crate::hub::operators::{self, Knock, OperatorError};
use crate::hub::providers::{self, Paid, Payment, Proofs, ProviderEdit, Told};
use crate::store::hub::{AgentState, Price, ProviderRow};

/// Hours that a code is good for unless said otherwise.
const CODE_HOURS: u32 = 48;

/// The routes, for callers that are operators, and the one where they sign in.
pub(super) fn router(api: &Arc<Api>) -> Router {
    let signed = Router::new()
        .route("/v1/operator/agents", get(agents))
        .route("/v1/operator/agents/{agent}", get(agent))
        .route("/v1/operator/agents/{agent}/lost", post(lose))
        .route("/v1/operator/agents/{agent}/pay-outs", post(pay_out))
        .route("/v1/operator/invites", post(invite))
        .route("/v1/operator/providers", get(list_providers).post(add_provider))
        .route("/v1/operator/providers/{provider}", get(provider).patch(change_provider))
        .route("/v1/operator/providers/{provider}/state", put(set_state))
        .route("/v1/operator/providers/{provider}/prices", put(set_prices))
        .route("/v1/operator/providers/{provider}/secret", post(renew_secret))
        .route("/v1/operator/providers/{provider}/top-ups", post(top_up))
        .route("/v1/operator/actions", get(actions))
        .route("/v1/operator/ledger", get(ledger))
        .route("/v1/operator/ledger/audit", get(audit))
        .route("/v1/operator/balances", get(balances))
        .route("/v1/operator/session", get(session).delete(sign_out))
        .route_layer(from_fn_with_state(api.clone(), caller::operator));
    let door = Router::new()
        .route("/v1/operator/session", post(sign_in))
        .route_layer(from_fn_with_state(api.clone(), caller::stranger));
    signed.merge(door).with_state(api.clone())
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        let detail = error.to_string();
        match error {
            OperatorError::Wrong => Self::new(Kind::Unauthorised, detail),
            OperatorError::Wait { wait_ms } => {
                let wait_s = u64::try_from(wait_ms.div_euclid(1000) + 1).unwrap_or(1);
                Self::new(Kind::TooMany, detail).after(wait_s)
            }
            OperatorError::Role { .. } => Self::new(Kind::Forbidden, detail),
            OperatorError::Refused(_) => Self::new(Kind::Conflict, detail),
            OperatorError::Password => Self::new(Kind::Malformed, detail),
            OperatorError::Hash(_) | OperatorError::Random(_) => Self::failed(detail),
            OperatorError::Store(error) => error.into(),
        }
    }
}

/// Sign in
///
/// The token holds for 12 hours. After five wrong passwords from one address the name has to wait.
#[utoipa::path(post, path = "/v1/operator/session", tag = "operator", request_body = SignIn,
    responses((status = 201, body = SessionView)), security(()))]
pub(super) async fn sign_in(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<(StatusCode, Json<SessionView>), Problem> {
    let remote = remote(request.extensions()).to_string();
    let Body(SignIn { name, password }) = Body::from_request(request, &()).await?;
    let enter = move |api: &Api| {
        let knock = Knock { name: &name, password: &password, remote: &remote };
        let session = operators::sign_in(&*api.store, &api.door, knock, Timestamp::now())?;
        let view = SessionView {
            token: Some(session.token),
            expires_at: Some(At(session.expires_at)),
            name: session.actor.name().to_owned(),
            role: session.actor.role(),
        };
        Ok((StatusCode::CREATED, Json(view)))
    };
    api.work(StoreWork::Write, enter).await
}

/// Who you are
#[utoipa::path(get, path = "/v1/operator/session", tag = "operator",
    responses((status = 200, body = SessionView)))]
pub(super) async fn session(Extension(signed): Extension<Signed>) -> Json<SessionView> {
    let (name, role) = (signed.actor.name().to_owned(), signed.actor.role());
    Json(SessionView { token: None, expires_at: None, name, role })
}

/// Sign out
#[utoipa::path(delete, path = "/v1/operator/session", tag = "operator",
    responses((status = 204)))]
pub(super) async fn sign_out(
    State(api): State<Arc<Api>>,
    Extension(signed): Extension<Signed>,
) -> Result<StatusCode, Problem> {
    let leave = move |api: &Api| {
        operators::sign_out(&*api.store, &signed.token)?;
        Ok(StatusCode::NO_CONTENT)
    };
    api.work(StoreWork::Write, leave).await
}

/// Owners' computers
#[utoipa::path(get, path = "/v1/operator/agents", tag = "operator", params(Page),
    responses((status = 200, body = AgentsPage)))]
pub(super) async fn agents(
    State(api): State<Arc<Api>>,
    Asked(page): Asked<Page>,
) -> Result<Json<AgentsPage>, Problem> {
    let count = limit(page.limit)?;
    let list = move |api: &Api| {
        let rows = api.store.agents(page.after()?, count)?;
        let is_full = rows.len() >= usize::try_from(count).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| is_full).map(|row| row.agent_id.clone());
        Ok(AgentsPage { agents: rows.into_iter().map(AgentView::from).collect(), next })
    };
    api.work(StoreWork::Read, list).await.map(Json)
}

/// One owner's computer
#[utoipa::path(get, path = "/v1/operator/agents/{agent}", tag = "operator",
    params(("agent" = String, Path, description = "Its id")),
    responses((status = 200, body = AgentView)))]
pub(super) async fn agent(
    State(api): State<Arc<Api>>,
    Named(agent): Named,
) -> Result<Json<AgentView>, Problem> {
    let read = move |api: &Api| {
        api.store.agent(&agent)?.map(AgentView::from).ok_or_else(Problem::not_found)
    };
    api.work(StoreWork::Read, read).await.map(Json)
}

/// A computer was lost
///
/// Nothing with its key is believed any more and its offers are withdrawn.
#[utoipa::path(post, path = "/v1/operator/agents/{agent}/lost", tag = "operator",
    params(("agent" = String, Path, description = "Its id")), request_body = Reason,
    responses((status = 200, body = AgentView)))]
pub(super) async fn lose(
    State(api): State<Arc<Api>>,
    Extension(signed): Extension<Signed>,
    Named(agent): Named,
    Body(reason): Body<Reason>,
) -> Result<Json<AgentView>, Problem> {
    let lose = move |api: &Api| {
        api.store.agent(&agent)?.ok_or_else(Problem::not_found)?;
        let (store, why) = (&*api.store, reason.why.0);
        let now = Timestamp::now();
        let row = enrol::cut_off(store, &signed.actor, &agent, AgentState::Lost, &why, now)?;
        Ok(AgentView::from(row))
    };
    api.work(StoreWork::Write, lose).await.map(Json)
}

/// An owner was paid
#[utoipa::path(post, path = "/v1/operator/agents/{agent}/pay-outs", tag = "operator",
    params(("agent" = String, Path, description = "Its id")), request_body = PayOutAsk,
    responses((status = 200, body = PaidView)))]
pub(super) async fn pay_out(
    State(api): State<Arc<Api>>,
    Extension(signed): Extension<Signed>,
    Named(agent): Named,
    Body(ask): Body<PayOutAsk>,
) -> Result<Json<PaidView>, Problem> {
    let pay = move |api: &Api| {
        api.store.agent(&agent)?.ok_or_else(Problem::not_found)?;
        let currency = Currency::try_from(ask.currency)
            .map_err(|error| Problem::new(Kind::Malformed, error.to_string()))?;
        let payment = payment(&ask.payment)?;
        let (store, now) = (&*api.store, Timestamp::now());
        let paid = providers::pay_out(store, &signed.actor, &agent, &currency, payment, now)?;
        Ok(paid_view(paid))
    };
    api.work(StoreWork::Write, pay).await.map(Json)
}

/// Let a computer join
///
/// Makes a code that is good once.
#[utoipa::path(post, path = "/v1/operator/invites", tag = "operator", request_body = InviteAsk,
    responses((status = 201, body = InviteView)))]
pub(super) async fn invite(
    State(api): State<Arc<Api>>,
    Extension(signed): Extension<Signed>,
    Body(ask): Body<InviteAsk>,
) -> Result<(StatusCode, Json<InviteView>), Problem> {
    let make = move |api: &Api| {
        let hours = ask.hours.unwrap_or(CODE_HOURS);
        let (store, replaces) = (&*api.store, ask.replaces.as_deref());
        let now = Timestamp::now();
        let (code, row) = enrol::invite(store, &signed.actor, &ask.label.0, hours, replaces, now)?;
        let command = format!("signet hub join {} {code}", api.base_url);
        let expires_at = At(row.expires_at);
        let view = InviteView { code: code.to_string(), command, expires_at };
        Ok((StatusCode::CREATED, Json(view)))
    };
    api.work(StoreWork::Write, make).await
}

/// Providers
#[utoipa::path(get, path = "/v1/operator/providers", tag = "operator",
    responses((status = 200, body = ProvidersView)))]
pub(super) async fn list_providers(
    State(api): State<Arc<Api>>,
) -> Result<Json<ProvidersView>, Problem> {
    let list = move |api: &Api| {
        let rows = api.store.providers()?;
        let views = rows.iter().map(|row| Ok(ProviderView::of(row, funds(api, row)?)));
        Ok(ProvidersView { providers: views.collect::<Result<_, Problem>>()? })
    };
    api.work(StoreWork::Read, list).await.map(Json)
}

/// Add a provider
///
/// With a key, a secret or both; the secret is said once.
#[utoipa::path(post, path = "/v1/operator/providers", tag = "operator", request_body = ProviderAsk,
    responses((status = 201, body = ProviderTold)))]
pub(super) async fn add_provider(
    State(api): State<Arc<Api>>,
    Extension(signed): Extension<Signed>,
    Body(ask): Body<ProviderAsk>,
) -> Result<(StatusCode, Json<ProviderTold>), Problem> {
    let add = move |api: &Api| {
        let proofs = Proofs { key: ask.key, secret: ask.secret };
        let (edit, now) = (edit(ask.terms), Timestamp::now());
        let (store, percent) = (&*api.store, api.service_percent);
        let told = providers::add(store, &signed.actor, &ask.name, &proofs, &edit, percent, now)?;
        Ok((StatusCode::CREATED, Json(told_view(api, told)?)))
    };
    api.work(StoreWork::Write, add).await
}

/// One provider
#[utoipa::path(get, path = "/v1/operator/providers/{provider}", tag = "operator",
    params(("provider" = String, Path, description = "Its name")),
    responses((status = 200, body = ProviderView)))]
pub(super) async fn provider(
    State(api): State<Arc<Api>>,
    Named(name): Named,
) -> Result<Json<ProviderView>, Problem> {
    let read = move |api: &Api| {
        let row = known(api, &name)?;
        Ok(ProviderView::of(&row, funds(api, &row)?))
    };
    api.work(StoreWork::Read, read).await.map(Json)
}

/// Change a provider
///
/// What is absent stays.
#[utoipa::path(patch, path = "/v1/operator/providers/{provider}", tag = "operator",
    params(("provider" = String, Path, description = "Its name")), request_body = TermsAsk,
    responses((status = 200, body = ProviderTold)))]
pub(super) async fn change_provider(
    State(api): State<Arc<Api>>,
    Extension(signed): Extension<Signed>,
    Named(name): Named,
    Body(terms): Body<TermsAsk>,
) -> Result<Json<ProviderTold>, Problem> {
    change(&api, signed, name, edit(terms)).await
}

/// What a provider pays
///
/// All of its prices; the most particular that fits holds.
#[utoipa::path(put, path = "/v1/operator/providers/{provider}/prices", tag = "operator",
    params(("provider" = String, Path, description = "Its name")), request_body = PricesAsk,
    responses((status = 200, body = ProviderTold)))]
pub(super) async fn set_prices(
    State(api): State<Arc<Api>>,
    Extension(signed): Extension<Signed>,
    Named(name): Named,
    Body(ask): Body<PricesAsk>,
) -> Result<Json<ProviderTold>, Problem> {
    let prices = Some(ask.prices.into_iter().map(Price::from).collect());
    change(&api, signed, name, ProviderEdit { prices, ..ProviderEdit::default() }).await
}

async fn change(
    api: &Arc<Api>,
    signed: Signed,
    name: String,
    edit: ProviderEdit,
) -> Result<Json<ProviderTold>, Problem> {
    let change = move |api: &Api| {
        known(api, &name)?;
        let told = providers::set(&*api.store, &signed.actor, &name, &edit, Timestamp::now())?;
        told_view(api, told)
    };
    api.work(StoreWork::Write, change).await.map(Json)
}

/// Let a provider fetch, or not
///
/// One that is closed stays so.
#[utoipa::path(put, path = "/v1/operator/providers/{provider}/state", tag = "operator",
    params(("provider" = String, Path, description = "Its name")), request_body = StateAsk,
    responses((status = 200, body = ProviderView)))]
pub(super) async fn set_state(
    State(api): State<Arc<Api>>,
    Extension(signed): Extension<Signed>,
    Named(name): Named,
    Body(StateAsk { state, why }): Body<StateAsk>,
) -> Result<Json<ProviderView>, Problem> {
    let set = move |api: &Api| {
        known(api, &name)?;
        let (store, now) = (&*api.store, Timestamp::now());
        let row = providers::set_state(store, &signed.actor, &name, state, &why.0, now)?;
        Ok(ProviderView::of(&row, funds(api, &row)?))
    };
    api.work(StoreWork::Write, set).await.map(Json)
}

/// A new secret for a provider
///
/// Said once; the old one is worth nothing from now on.
#[utoipa::path(post, path = "/v1/operator/providers/{provider}/secret", tag = "operator",
    params(("provider" = String, Path, description = "Its name")),
    responses((status = 200, body = ProviderTold)))]
pub(super) async fn renew_secret(
    State(api): State<Arc<Api>>,
    Extension(signed): Extension<Signed>,
    Named(name): Named,
) -> Result<Json<ProviderTold>, Problem> {
    let renew = move |api: &Api| {
        known(api, &name)?;
        let told = providers::renew_secret(&*api.store, &signed.actor, &name, Timestamp::now())?;
        told_view(api, told)
    };
    api.work(StoreWork::Write, renew).await.map(Json)
}

/// A provider paid in
///
/// The same reference is posted once.
#[utoipa::path(post, path = "/v1/operator/providers/{provider}/top-ups", tag = "operator",
    params(("provider" = String, Path, description = "Its name")), request_body = PaymentAsk,
    responses((status = 200, body = PaidView)))]
pub(super) async fn top_up(
    State(api): State<Arc<Api>>,
    Extension(signed): Extension<Signed>,
    Named(name): Named,
    Body(ask): Body<PaymentAsk>,
) -> Result<Json<PaidView>, Problem> {
    let pay = move |api: &Api| {
        known(api, &name)?;
        let (store, now) = (&*api.store, Timestamp::now());
        let paid = providers::top_up(store, &signed.actor, &name, payment(&ask)?, now)?;
        Ok(paid_view(paid))
    };
    api.work(StoreWork::Write, pay).await.map(Json)
}

/// What operators did
///
/// Newest first; nothing is ever taken from this list.
#[utoipa::path(get, path = "/v1/operator/actions", tag = "operator", params(Newest),
    responses((status = 200, body = ActionsView)))]
pub(super) async fn actions(
    State(api): State<Arc<Api>>,
    Asked(newest): Asked<Newest>,
) -> Result<Json<ActionsView>, Problem> {
    let count = limit(newest.limit)?;
    let list = move |api: &Api| {
        let rows = api.store.actions(count)?;
        Ok(ActionsView { actions: rows.into_iter().map(ActionView::from).collect() })
    };
    api.work(StoreWork::Read, list).await.map(Json)
}

/// The books
///
/// Postings over a span of time; a long one comes in parts.
#[utoipa::path(get, path = "/v1/operator/ledger", tag = "operator", params(SpanAsked),
    responses((status = 200, body = LedgerView)))]
pub(super) async fn ledger(
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<SpanAsked>,
) -> Result<Json<LedgerView>, Problem> {
    let span = asked.span(Timestamp::now())?;
    let read = move |api: &Api| {
        let postings = api.store.postings(span.from, span.to)?;
        Ok(LedgerView::of(span, postings))
    };
    api.work(StoreWork::Read, read).await.map(Json)
}

/// Whether the books are right
///
/// Reads all of them: sums, running balances, postings without their leaves.
#[utoipa::path(get, path = "/v1/operator/ledger/audit", tag = "operator",
    responses((status = 200, body = AuditView)))]
pub(super) async fn audit(State(api): State<Arc<Api>>) -> Result<Json<AuditView>, Problem> {
    let read = |api: &Api| Ok(AuditView { mistakes: api.store.audit()? });
    api.work(StoreWork::Read, read).await.map(Json)
}

/// What is on every account
#[utoipa::path(get, path = "/v1/operator/balances", tag = "operator",
    responses((status = 200, body = BalancesView)))]
pub(super) async fn balances(State(api): State<Arc<Api>>) -> Result<Json<BalancesView>, Problem> {
    let read = |api: &Api| {
        let balances = api.store.balances()?.into_iter();
        let view = |(account, currency, minor): (String, String, i64)| BalanceView {
            account,
            currency,
            minor,
        };
        Ok(BalancesView { balances: balances.map(view).collect() })
    };
    api.work(StoreWork::Read, read).await.map(Json)
}

fn known(api: &Api, name: &str) -> Result<ProviderRow, Problem> {
    api.store.provider(name)?.ok_or_else(Problem::not_found)
}

fn edit(terms: TermsAsk) -> ProviderEdit {
    ProviderEdit {
        purposes: terms.purposes,
        currency: terms.currency,
        credit_limit_minor: terms.credit_limit_minor,
        service_percent: terms.service_percent,
        requests_per_minute: terms.requests_per_minute,
        accesses_per_day: terms.accesses_per_day,
        ..ProviderEdit::default()
    }
}

fn payment(ask: &PaymentAsk) -> Result<Payment<'_>, Problem> {
    let PaymentAsk { minor, reference, note } = ask;
    if reference.0.is_empty() {
        return Err(Problem::new(Kind::Malformed, "`reference` names the payment"));
    }
    Ok(Payment { minor: *minor, reference: Some(&reference.0), note: &note.0 })
}

fn paid_view(paid: Paid) -> PaidView {
    let Paid { posting, is_new, balance_minor } = paid;
    PaidView { posting: PostingView::from(posting), is_new, balance_minor }
}

fn told_view(api: &Api, told: Told) -> Result<ProviderTold, Problem> {
    let provider = ProviderView::of(&told.provider, funds(api, &told.provider)?);
    Ok(ProviderTold { provider, secret: told.secret })
}
