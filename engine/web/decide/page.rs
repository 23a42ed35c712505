//! HTML of the page on which the owner decides: for phones first, without scripts, without
//! anything from elsewhere.
//!
//! Everything that is shown is escaped and set apart (`<bdi>`), so that a file's name can
//! neither become markup nor turn the words around it.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::Asked;
use crate::base::markup::set_apart as escaped;

pub(super) const UNKNOWN: &str = "There is no such order any more.";
pub(super) const NOT_SAID: &str = "Nothing was decided: open the link again and choose.";
pub(super) const CHANGED: &str =
    "Nothing was decided: the order has changed since you opened the page. This is how it is now.";

const STYLE: &str = "\
:root{color-scheme:light dark;font:17px/1.45 system-ui,sans-serif}\
body{margin:0 auto;padding:1rem;max-width:32rem}\
img{display:block;width:100%;height:auto;max-height:60vh;object-fit:contain;border-radius:.5rem}\
h1{font-size:1.3rem;margin:1rem 0 .5rem}\
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:0}\
dt{opacity:.7}dd{margin:0;overflow-wrap:anywhere}\
p{overflow-wrap:anywhere}.note{border-left:.3rem solid;padding-left:.7rem}\
button{font:inherit;width:100%;min-height:3rem;margin-top:.8rem;border:2px solid;border-radius:.5rem}\
button[value=approve]{background:#0a6b2d;color:#fff}";

/// An answer that nobody keeps, indexes, frames or learns the link from.
pub(super) fn guarded(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; img-src 'self'; style-src 'sha256-{style}'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex, nofollow"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page.
pub(super) fn html(status: StatusCode, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Signet</title><style>{STYLE}</style></head><body>{body}</body></html>"
    );
    guarded(status, "text/html; charset=utf-8", Body::from(page))
}

/// Whoever asks so often is to wait.
pub(super) fn too_many() -> Response {
    let text = "Too many tries: wait a minute and open the link again.";
    let mut response = html(StatusCode::TOO_MANY_REQUESTS, &message(text));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

/// A page with one sentence.
pub(super) fn message(text: &str) -> String {
    format!("<h1>Signet</h1><p>{}</p>", escaped(text))
}

/// The page of one order.
///
/// - `token`: last part of the page's address, which the photo's begins with
/// - `note`: what came of a decision
pub(super) fn order(asked: &Asked, token: &str, note: Option<&str>) -> String {
    let mut body = String::new();
    if let Some(note) = note {
        body += &format!("<p class=\"note\" role=\"status\">{}</p>", escaped(note));
    }
    body += &format!("<img src=\"{token}/preview\" alt=\"The photo\">");
    body += &format!("<h1>{}</h1><dl>", escaped(&asked.what));
    let rows = [
        ("From", Some(&asked.provider)),
        ("Price", asked.price.as_ref()),
        ("Photo", Some(&asked.photo)),
        ("State", Some(&asked.state)),
        ("Because", Some(&asked.why)),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            body += &format!("<dt>{name}</dt><dd>{}</dd>", escaped(value));
        }
    }
    body += "</dl>";
    if asked.can_approve || asked.can_cancel {
        body += "<form method=\"post\">";
        body += &format!("<input type=\"hidden\" name=\"stamp\" value=\"{}\">", asked.stamp);
        if asked.can_approve {
            body += "<button name=\"decision\" value=\"approve\">Approve: order it</button>";
        }
        if asked.can_cancel {
            body += "<button name=\"decision\" value=\"cancel\">Cancel: do not order it</button>";
        }
        body += "</form>";
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_file_does_not_become_markup() {
        let evil = "<img src=x onerror=alert(1)>\"'&\u{202E}\n</bdi><script>";
        let asked = Asked {
            what: evil.into(),
            provider: evil.into(),
            price: Some(evil.into()),
            photo: evil.into(),
            why: evil.into(),
            state: evil.into(),
            can_approve: true,
            can_cancel: true,
            stamp: "0123456789abcdefghjkmnpqrs".into(),
        };
        let page = order(&asked, "a-1-b", Some(evil));
        assert!(!page.contains("<script") && !page.contains("<img src=x"), "{page}");
        assert_eq!(page.matches("<bdi>").count(), 7);
        assert_eq!(page.matches("</bdi>").count(), 7);
        assert_eq!(page.matches("<button").count(), 2);
        let over = Asked { can_approve: false, can_cancel: false, ..asked };
        assert!(!order(&over, "a-1-b", None).contains("<form"), "nothing is left to decide");
    }
}
