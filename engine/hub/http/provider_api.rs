//! What providers ask the hub about themselves: `/v1/provider/…`.
//!
//! Everything is of the provider that calls; no address names another one, so there is nothing to
//! be guessed. A provider that is paused may still read.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};

use super::api::{Api, Asked, Body};
use super::caller::{self, Caller};
use super::problem::{Kind, Problem};
use super::views::{
    AccessesAsked, Funds, Newest, NoticeMade, NoticeView, NoticesView, OfferView, OffersPage, Page,
    ProviderView, SpanAsked, StatementView, WebhookAsk, WebhookView, limit,
};
use crate::base::causes::one_line;
use crate::base::clock::Timestamp;
use crate::hub::metrics::StoreWork;
use crate::hub::notices;
use crate::ledger::evidence::Evidence;
use crate::orders::outward;
use crate::store::hub::{ProviderChange, ProviderRow};

/// The routes, for callers that are providers.
pub(super) fn router(api: &Arc<Api>) -> Router {
    Router::new()
        .route("/v1/provider", get(show))
        .route("/v1/provider/offers", get(offers))
        .route("/v1/provider/statement", get(statement))
        .route("/v1/provider/accesses", get(accesses))
        .route("/v1/provider/webhook", get(webhook).put(put_webhook).delete(delete_webhook))
        .route("/v1/provider/webhook/test", post(test_webhook))
        .route("/v1/provider/notices", get(list_notices))
        .route_layer(from_fn_with_state(api.clone(), caller::provider))
        .with_state(api.clone())
}

/// What is on the account of a provider.
pub(super) fn funds(api: &Api, row: &ProviderRow) -> Result<Funds, Problem> {
    let balance_minor = api.store.balance(&account(&row.name), &row.currency)?;
    Ok(Funds { balance_minor, reserved_minor: api.store.reserved(&row.name)? })
}

fn account(provider: &str) -> String {
    format!("provider:{provider}")
}

/// Your row
///
/// What was agreed with you, and what you may still fetch for.
#[utoipa::path(get, path = "/v1/provider", tag = "provider",
    responses((status = 200, body = ProviderView)))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(Caller(row)): Extension<Caller>,
) -> Result<Json<ProviderView>, Problem> {
    let view = move |api: &Api| Ok(ProviderView::of(&row, funds(api, &row)?));
    api.work(StoreWork::Read, view).await.map(Json)
}

/// What you may fetch
///
/// Offers that hold, by the owner's computer and grant.
#[utoipa::path(get, path = "/v1/provider/offers", tag = "provider", params(Page),
    responses((status = 200, body = OffersPage)))]
pub(super) async fn offers(
    State(api): State<Arc<Api>>,
    Extension(Caller(row)): Extension<Caller>,
    Asked(page): Asked<Page>,
) -> Result<Json<OffersPage>, Problem> {
    let count = limit(page.limit)?;
    let list = move |api: &Api| {
        // A text that is no `next` names a place in the order of offers all the same.
        let after = page.after()?.map(|after| after.split_once('.').unwrap_or((after, "")));
        let rows = api.store.offers_of(&row.name, after, count, Timestamp::now())?;
        let is_full = rows.len() >= usize::try_from(count).unwrap_or(usize::MAX);
        let last = rows.last().filter(|_| is_full);
        let next = last.map(|offer| format!("{}.{}", offer.agent_id, offer.grant_id));
        let offers = rows.into_iter().map(|offer| OfferView::of(offer, &api.base_url)).collect();
        Ok(OffersPage { offers, next })
    };
    api.work(StoreWork::Read, list).await.map(Json)
}

/// Your account
///
/// Every line with what was on the account after it. A long span comes in parts: go on with
/// `next_from`.
#[utoipa::path(get, path = "/v1/provider/statement", tag = "provider", params(SpanAsked),
    responses((status = 200, body = StatementView)))]
pub(super) async fn statement(
    State(api): State<Arc<Api>>,
    Extension(Caller(row)): Extension<Caller>,
    Asked(asked): Asked<SpanAsked>,
) -> Result<Json<StatementView>, Problem> {
    let span = asked.span(Timestamp::now())?;
    let read = move |api: &Api| {
        let account = account(&row.name);
        let lines = api.store.lines(&account, span.from, span.to)?;
        Ok(StatementView::of(account, span, lines))
    };
    api.work(StoreWork::Read, read).await.map(Json)
}

/// What you fetched
///
/// The lines of your account that are deliveries and their reversals. With `proof=true` each comes
/// with the proof that the owner's computer signed for it: `signet lab verify` checks them.
#[utoipa::path(get, path = "/v1/provider/accesses", tag = "provider", params(AccessesAsked),
    responses((status = 200, body = StatementView)))]
pub(super) async fn accesses(
    State(api): State<Arc<Api>>,
    Extension(Caller(row)): Extension<Caller>,
    Asked(asked): Asked<AccessesAsked>,
) -> Result<Json<StatementView>, Problem> {
    let AccessesAsked { from, to, proof } = asked;
    let span = SpanAsked { from, to }.span(Timestamp::now())?;
    let read = move |api: &Api| {
        let account = account(&row.name);
        let mut lines = api.store.lines(&account, span.from, span.to)?;
        lines.retain(|line| line.posting.access.is_some());
        let mut page = StatementView::of(account, span, lines);
        if proof == Some(true) {
            let store = &*api.store;
            page.prove(|agent, index| Evidence::of(store, agent, index))
                .map_err(|error| Problem::failed(one_line(&error)))?;
        }
        Ok(page)
    };
    api.work(StoreWork::Read, read).await.map(Json)
}

/// Where you are told of things
#[utoipa::path(get, path = "/v1/provider/webhook", tag = "provider",
    responses((status = 200, body = WebhookView)))]
pub(super) async fn webhook(Extension(Caller(row)): Extension<Caller>) -> Json<WebhookView> {
    let url = Some(row.notify_url.clone()).filter(|url| !url.is_empty());
    Json(WebhookView { url, secret: None })
}

/// Be told there
///
/// Makes a new secret each time and says it once; notices that wait are signed with it.
#[utoipa::path(put, path = "/v1/provider/webhook", tag = "provider", request_body = WebhookAsk,
    responses((status = 200, body = WebhookView)))]
pub(super) async fn put_webhook(
    State(api): State<Arc<Api>>,
    Extension(Caller(row)): Extension<Caller>,
    Body(ask): Body<WebhookAsk>,
) -> Result<Json<WebhookView>, Problem> {
    let put = move |api: &Api| {
        let url = ask.url;
        if url.chars().count() > 2048
            || !(url.starts_with("https://") || url.starts_with("http://"))
        {
            let detail = "`url` should begin with https:// and have 2048 characters at most";
            return Err(Problem::new(Kind::Malformed, detail));
        }
        if outward::foresee(&url, &api.allow).is_err() {
            let detail = "the hub calls public addresses with TLS, and those that its operator \
                          named in hub.toml";
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        let secret = notices::new_secret().map_err(Problem::failed)?;
        let change = ProviderChange::Notify { url: url.clone(), secret: secret.clone() };
        api.store.change_provider(&row.name, &change)?;
        Ok(WebhookView { url: Some(url), secret: Some(secret) })
    };
    api.work(StoreWork::Write, put).await.map(Json)
}

/// Be told nowhere
///
/// Notices can still be looked up.
#[utoipa::path(delete, path = "/v1/provider/webhook", tag = "provider",
    responses((status = 204)))]
pub(super) async fn delete_webhook(
    State(api): State<Arc<Api>>,
    Extension(Caller(row)): Extension<Caller>,
) -> Result<StatusCode, Problem> {
    let delete = move |api: &Api| {
        let change = ProviderChange::Notify { url: String::new(), secret: String::new() };
        api.store.change_provider(&row.name, &change)?;
        Ok(StatusCode::NO_CONTENT)
    };
    api.work(StoreWork::Write, delete).await
}

/// Try it
///
/// Sends a notice `signet.webhook.test` within seconds.
#[utoipa::path(post, path = "/v1/provider/webhook/test", tag = "provider",
    responses((status = 202, body = NoticeMade)))]
pub(super) async fn test_webhook(
    State(api): State<Arc<Api>>,
    Extension(Caller(row)): Extension<Caller>,
) -> Result<(StatusCode, Json<NoticeMade>), Problem> {
    if row.notify_url.is_empty() {
        let detail = "there is no address: PUT /v1/provider/webhook sets one";
        return Err(Problem::new(Kind::Conflict, detail));
    }
    let put = move |api: &Api| {
        let notice = notices::test(&row.name, Timestamp::now());
        api.store.put_notice(&notice)?;
        Ok((StatusCode::ACCEPTED, Json(NoticeMade { id: notice.notice_id })))
    };
    api.work(StoreWork::Write, put).await
}

/// What you were told
///
/// Notices of the last 30 days, newest first, also those that could not be sent.
#[utoipa::path(get, path = "/v1/provider/notices", tag = "provider", params(Newest),
    responses((status = 200, body = NoticesView)))]
pub(super) async fn list_notices(
    State(api): State<Arc<Api>>,
    Extension(Caller(row)): Extension<Caller>,
    Asked(newest): Asked<Newest>,
) -> Result<Json<NoticesView>, Problem> {
    let count = limit(newest.limit)?;
    let list = move |api: &Api| {
        let rows = api.store.notices_of(&row.name, count)?;
        Ok(NoticesView { notices: rows.into_iter().map(NoticeView::of).collect() })
    };
    api.work(StoreWork::Read, list).await.map(Json)
}
