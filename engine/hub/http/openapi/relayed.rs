//! Descriptions of the routes that the hub hands on to owners' computers, and of the one by which
//! their answers come. Two handlers (`http::relay`) serve all of them; these functions only carry
//! their descriptions.

use utoipa::IntoParams;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

fn agent_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]{43}$")).build()
}

fn derived_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-z]{26}$")).build()
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct Grant {
    /// The owner's computer.
    #[param(schema_with = agent_schema)]
    agent: String,
    /// The grant.
    #[param(schema_with = derived_schema)]
    grant: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct Link {
    /// The owner's computer.
    #[param(schema_with = agent_schema)]
    agent: String,
    /// The grant.
    #[param(schema_with = derived_schema)]
    grant: String,
    /// What nobody can guess.
    #[param(schema_with = agent_schema)]
    secret: String,
    /// The name to file it under.
    #[param(max_length = 200)]
    name: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct Order {
    /// The owner's computer.
    #[param(schema_with = agent_schema)]
    agent: String,
    /// The order.
    #[param(schema_with = derived_schema)]
    order: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
struct Callback {
    /// The owner's computer.
    #[param(schema_with = agent_schema)]
    agent: String,
    /// The parcel.
    #[param(schema_with = derived_schema)]
    parcel: String,
    /// What nobody can guess.
    #[param(schema_with = agent_schema)]
    secret: String,
}

/// Fetch with a grant
///
/// With `Authorization: DPoP` and the grant that came with the order, and a proof of your key in the
/// header `DPoP` (RFC 9449). The answer is sealed to your key (`Signet-Seal`) unless the owner agreed
/// otherwise. Ranges, `If-Range`, `If-None-Match` and HEAD work as in RFC 9110; everything
/// together is one access.
#[utoipa::path(get, path = "/o/{agent}/v1/grants/{grant}/content", tag = "fetch", params(Grant),
    security(("grant" = [])),
    responses(
        (status = 200, description = "All of it", content_type = "application/octet-stream"),
        (status = 206, description = "The range", content_type = "application/octet-stream"),
        (status = 304, description = "You have it"),
        (status = 416, description = "Outside of it", content_type = "application/problem+json"),
        (status = 502, description = "The owner's computer answers nonsense",
            content_type = "application/problem+json"),
        (status = 504, description = "The owner's computer does not answer",
            content_type = "application/problem+json"),
    ))]
fn content() {}

/// Fetch with a link
///
/// For providers without a key: the address itself, as it stands in the order, is the right. HEAD and
/// ranges work as in RFC 9110.
#[utoipa::path(get, path = "/o/{agent}/v1/links/{grant}/{secret}/{name}", tag = "fetch",
    params(Link), security(()),
    responses(
        (status = 200, description = "All of it", content_type = "application/octet-stream"),
        (status = 206, description = "The range", content_type = "application/octet-stream"),
        (status = 304, description = "You have it"),
        (status = 416, description = "Outside of it", content_type = "application/problem+json"),
        (status = 502, description = "The owner's computer answers nonsense",
            content_type = "application/problem+json"),
        (status = 504, description = "The owner's computer does not answer",
            content_type = "application/problem+json"),
    ))]
fn link() {}

/// Hand in a receipt
///
/// Everything arrived, with these digests. As `receipt_url` of the order says. While the owner's computer
/// is off, a receipt for a copy that was fetched here is kept for it (202).
#[utoipa::path(post, path = "/o/{agent}/v1/orders/{order}/receipt", tag = "fetch", params(Order),
    security(("grant" = [])), request_body = serde_json::Value,
    responses((status = 200, body = serde_json::Value),
        (status = 202, description = "Kept for the owner", body = serde_json::Value),
        (status = 502, description = "The owner's computer answers nonsense",
            content_type = "application/problem+json"),
        (status = 504, description = "The owner's computer does not answer",
            content_type = "application/problem+json")))]
fn receipt() {}

/// Tell what becomes of an order
///
/// As `status_url` of the order says.
#[utoipa::path(post, path = "/o/{agent}/v1/orders/{order}/status", tag = "fetch", params(Order),
    security(("grant" = [])), request_body = serde_json::Value,
    responses((status = 200, body = serde_json::Value),
        (status = 502, description = "The owner's computer answers nonsense",
            content_type = "application/problem+json"),
        (status = 504, description = "The owner's computer does not answer",
            content_type = "application/problem+json")))]
fn status() {}

/// Hint that something changed
///
/// The owner's computer asks you then; what you send is not looked at.
#[utoipa::path(post, path = "/o/{agent}/v1/callbacks/{parcel}/{secret}", tag = "fetch",
    params(Callback), security(()),
    responses((status = 200, body = serde_json::Value),
        (status = 502, description = "The owner's computer answers nonsense",
            content_type = "application/problem+json"),
        (status = 504, description = "The owner's computer does not answer",
            content_type = "application/problem+json")))]
fn callback() {}

/// Bring the answer to one request
///
/// Whoever knows the id of the transfer, which the control channel told, brings status and headers
/// in `Signet-Head` and the bytes in the body, as they come.
#[utoipa::path(post, path = "/v1/transfers/{transfer}", tag = "agent", security(()),
    params(
        ("transfer" = String, Path, description = "As the control channel said"),
        ("Signet-Head" = String, Header, description = "base64url of JSON"),
    ),
    request_body(content = String, content_type = "application/octet-stream"),
    responses(
        (status = 204, description = "All of it was taken"),
        (status = 400, description = "There is no head, or the body broke off"),
        (status = 410, description = "Nobody waits for it, or nobody does any more"),
    ))]
fn transfer() {}

/// Bring a copy
///
/// An owner's computer brings the sealed copy of what it granted, which waits here until its provider
/// fetched it. The call is signed by the computer's key; `Signet-Seal` says how the copy is sealed.
#[utoipa::path(put, path = "/v1/staged/{agent}/{grant}", tag = "agent", params(Grant),
    security(()),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 204, description = "All of it lies here")))]
fn staged() {}
