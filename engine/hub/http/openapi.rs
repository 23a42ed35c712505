//! The description of the hub's API: OpenAPI 3.1, made from the handlers themselves.
//!
//! Served at `/v1/openapi.json`, printed by `signet hub api`; `docs/hub-api.md` tells the same to
//! people. The version is that of the API and goes up when something is added; `/v1` goes up when
//! something would break.
//!
//! Every operation may end in the problems that are common to all; they are added here, so that no
//! handler forgets one.

#[expect(dead_code, reason = "one handler serves these routes, see its header")]
mod relayed;

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, OpenApi as Description, Ref, RefOr, ResponseBuilder,
    SecurityRequirement,
};
use utoipa::{Modify, OpenApi};

use super::api::{Api, Named};
use super::caller;
use super::problem::{Kind, PROBLEM_TYPE, Problem, ProblemBody};
use super::{agent, enrol, operator_api, provider_api};

/// Version of the API.
pub const VERSION: &str = "1.0.0";

const ABOUT: &str = "Access to originals on owners' computers: fetch, and see what it cost. \
    Moments are RFC 3339 in UTC; money is in minor units, debits positive. Every refusal is \
    `application/problem+json` (RFC 9457).";

#[derive(OpenApi)]
#[openapi(
    info(title = "Signet hub", version = VERSION, description = ABOUT),
    tags(
        (name = "fetch", description = "Originals and companions, by grant or link"),
        (name = "provider", description = "Your account, offers and notices"),
        (name = "operator", description = "For those who run the hub"),
        (name = "agent", description = "For owners' computers: `signet` does all of it"),
        (name = "about", description = "This description"),
    ),
    components(schemas(ProblemBody)),
    modifiers(&Security, &Problems),
    paths(
        describe, explain, health,
        relayed::content, relayed::link, relayed::receipt, relayed::status, relayed::callback,
        provider_api::show, provider_api::offers, provider_api::statement, provider_api::accesses,
        provider_api::webhook, provider_api::put_webhook, provider_api::delete_webhook,
        provider_api::test_webhook, provider_api::list_notices,
        operator_api::sign_in, operator_api::session, operator_api::sign_out,
        operator_api::agents, operator_api::agent, operator_api::lose, operator_api::pay_out,
        operator_api::invite,
        operator_api::list_providers, operator_api::add_provider, operator_api::provider,
        operator_api::change_provider, operator_api::set_state, operator_api::set_prices,
        operator_api::renew_secret, operator_api::top_up,
        agent::connect, relayed::transfer, relayed::staged,
        enrol::offer, enrol::join, enrol::change_key, enrol::leave,
        operator_api::actions, operator_api::ledger, operator_api::audit, operator_api::balances,
    )
)]
struct Hub;

/// The description.
pub fn description() -> Description {
    Hub::openapi()
}

/// The routes, for everybody.
pub(super) fn router(api: &Arc<Api>) -> Router {
    Router::new()
        .route("/v1/openapi.json", get(describe))
        .route("/v1/problems/{kind}", get(explain))
        .route_layer(from_fn_with_state(api.clone(), caller::stranger))
}

/// This description
#[utoipa::path(get, path = "/v1/openapi.json", tag = "about", security(()),
    responses((status = 200, body = serde_json::Value)))]
pub(super) async fn describe() -> Response {
    let mut response = Json(description()).into_response();
    let hour = HeaderValue::from_static("public, max-age=3600");
    response.headers_mut().insert(header::CACHE_CONTROL, hour);
    response
}

/// Whether the hub answers
#[utoipa::path(get, path = "/v1/health", tag = "about", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// What a kind of problem means
///
/// Where `type` of a problem leads.
#[utoipa::path(get, path = "/v1/problems/{kind}", tag = "about", security(()),
    params(("kind" = String, Path, description = "Last part of `type`")),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn explain(Named(word): Named) -> Result<String, Problem> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word);
    let kind = kind.ok_or_else(Problem::not_found)?;
    Ok(format!("{} ({})\n\n{}\n", kind.word(), kind.status(), kind.cure()))
}

/// How callers show who they are.
struct Security;

impl Modify for Security {
    fn modify(&self, description: &mut Description) {
        let components = description.components.get_or_insert_with(Components::new);
        let bearer = |about: &str| {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
            SecurityScheme::Http(scheme.description(Some(about)).build())
        };
        let proof = "A JWS by your key over method, address, time, nonce and digest of the body; \
            each is good once. See docs/hub-api.md.";
        let proof = ApiKeyValue::with_description("Signet-Proof", proof);
        components.add_security_scheme("secret", bearer("The secret that you were given."));
        components.add_security_scheme("proof", SecurityScheme::ApiKey(ApiKey::Header(proof)));
        let grant = ApiKeyValue::with_description("Authorization", "`DPoP` and the grant.");
        components.add_security_scheme("grant", SecurityScheme::ApiKey(ApiKey::Header(grant)));
        components.add_security_scheme("session", bearer("From POST /v1/operator/session."));
        for operation in operations(description) {
            let of = |tag: &str| operation.tags.iter().flatten().any(|own| own == tag);
            let names: &[&str] = match () {
                () if operation.security.is_some() => continue,
                () if of("provider") => &["secret", "proof"],
                () if of("operator") => &["session"],
                () => continue,
            };
            let require = |name: &&str| SecurityRequirement::new(*name, Vec::<String>::new());
            operation.security = Some(names.iter().map(require).collect());
        }
    }
}

/// What every operation may end in.
struct Problems;

impl Modify for Problems {
    fn modify(&self, description: &mut Description) {
        for operation in operations(description) {
            for kind in Kind::ALL {
                let status = kind.status().as_u16().to_string();
                let content = ContentBuilder::new()
                    .schema(Some(RefOr::Ref(Ref::from_schema_name("ProblemBody"))))
                    .build();
                let response = ResponseBuilder::new()
                    .description(kind.cure())
                    .content(PROBLEM_TYPE, content)
                    .build();
                operation.responses.responses.entry(status).or_insert(RefOr::T(response));
            }
        }
    }
}

fn operations(description: &mut Description) -> impl Iterator<Item = &mut Operation> {
    description.paths.paths.values_mut().flat_map(|path| {
        [
            &mut path.get,
            &mut path.put,
            &mut path.post,
            &mut path.delete,
            &mut path.patch,
            &mut path.head,
        ]
        .into_iter()
        .filter_map(Option::as_mut)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files with routes that strangers can reach; `monitor` shows its own elsewhere.
    const ROUTES: [&str; 5] = [
        include_str!("../http.rs"),
        include_str!("enrol.rs"),
        include_str!("openapi.rs"),
        include_str!("operator_api.rs"),
        include_str!("provider_api.rs"),
    ];

    #[test]
    fn every_route_is_described() {
        let described = description().paths.paths;
        let begin = concat!(".route", "(\"");
        let routes: Vec<&str> = ROUTES
            .iter()
            .flat_map(|text| text.split(begin).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .filter(|route| !route.starts_with("/o/"))
            .collect();
        assert!(routes.len() > 25, "{routes:?}");
        for route in routes {
            assert!(described.contains_key(route), "{route} is not described");
        }
    }
}
