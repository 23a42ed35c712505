//! The ways to providers, as the consent in force has them.
//!
//! In:  name of a provider. Out: its target, ready to be called, and nothing when the consent does
//! not cover it. For the agent's dispatcher and for short commands alike.

use std::sync::Arc;

use super::books::{ConsentBook, OutwardBook};
use crate::access::{Consent, Key};
use crate::base::causes::one_line;
use crate::base::home::Home;
use crate::orders::Terms;
use crate::orders::dispatch::Hindrance;
use crate::orders::target::{Means, Target};

/// The ways to providers.
#[derive(Debug, Clone)]
pub struct Providers {
    /// Where shared secrets lie.
    pub home: Home,
    /// What was agreed.
    pub consent: Arc<ConsentBook>,
    /// The agent's key.
    pub key: Arc<Key>,
    /// Makes calls.
    pub outward: Arc<OutwardBook>,
}

impl Providers {
    /// The target of a provider.
    ///
    /// # Errors
    /// A [`Hindrance`]: it is not covered, or its secret is missing.
    pub fn target(&self, provider: &str) -> Result<Box<dyn Target>, Hindrance> {
        let consent = self.current()?;
        let terms = terms_of(&consent, provider)?;
        let secret = match std::fs::read_to_string(self.home.secret_path(provider)) {
            Ok(secret) => secret.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && terms.key.is_empty() => {
                String::new()
            }
            Err(_error) => {
                return Err(Hindrance::Later(format!(
                    "the secret of provider `{provider}` is missing: `signet consent allow` its card"
                )));
            }
        };
        let key = self.key.clone();
        Ok(terms.target.open(Means {
            orders_url: terms.orders_url.clone(),
            secret,
            outward: self.outward.current(),
            sign: Arc::new(move |bytes| key.sign(bytes)),
            agent_id: self.key.public().thumbprint(),
        }))
    }

    /// The consent in force.
    ///
    /// # Errors
    /// [`Hindrance::Later`] when it cannot be believed.
    pub(super) fn current(&self) -> Result<Arc<Consent>, Hindrance> {
        self.consent.current().map_err(|error| Hindrance::Later(one_line(&error)))
    }
}

/// What was agreed with a provider.
pub(super) fn terms_of<'a>(consent: &'a Consent, provider: &str) -> Result<&'a Terms, Hindrance> {
    consent.providers.get(provider).ok_or_else(|| {
        Hindrance::Never(format!("there is no consent for provider `{provider}` any more"))
    })
}
