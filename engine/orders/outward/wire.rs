//! The connection under a call: addresses from the gate, TLS, and a note whether anything left.
//!
//! Whether a provider may have acted on a call that failed decides about money. It cannot have
//! when no byte of the call was handed to the connection, whatever the failure was.
//!
//! No proxy of the environment, no redirect: each would go to a place that was not checked.

use std::cell::Cell;

use rustls::{CertificateError, Error as TlsError};
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector, Transport,
};

use super::gate::{Gate, Refusal};

thread_local! {
    /// Whether the call that this thread makes has begun to leave; calls stay on their thread.
    static LEFT: Cell<bool> = const { Cell::new(false) };
}

/// A client whose connections all go through the gate.
pub(super) fn client(config: ConfigBuilder<AgentScope>, gate: Gate) -> Agent {
    let config = config.http_status_as_error(false).max_redirects(0).proxy(None).build();
    let connector =
        ().chain(TcpConnector::default()).chain(RustlsConnector::default()).chain(Watch);
    Agent::with_parts(config, connector, gate)
}

/// Makes a call, and tells with a failure whether anything of it left this computer.
pub(super) fn watched<T>(
    call: impl FnOnce() -> Result<T, ureq::Error>,
) -> Result<T, (ureq::Error, bool)> {
    LEFT.set(false);
    call().map_err(|error| (error, LEFT.get()))
}

/// Why nothing was called, if it was the gate that said so.
pub fn refusal(error: &ureq::Error) -> Option<&Refusal> {
    match error {
        ureq::Error::Other(source) => source.downcast_ref(),
        _ => None,
    }
}

/// What went wrong, in words for the operator; stands behind "cannot be reached: ".
pub(super) fn words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Rustls(error) => tls_words(error),
        ureq::Error::Io(error) => {
            let tls = error.get_ref().and_then(|source| source.downcast_ref());
            tls.map_or_else(|| error.to_string(), tls_words)
        }
        ureq::Error::Timeout(_) => "it did not answer in time".into(),
        _ => error.to_string(),
    }
}

fn tls_words(error: &TlsError) -> String {
    use CertificateError as Wrong;
    let TlsError::InvalidCertificate(wrong) = error else {
        return format!("no TLS connection: {error}");
    };
    let why = match wrong {
        Wrong::Expired | Wrong::ExpiredContext { .. } => {
            "has expired; is the clock of this computer right?"
        }
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            "is not valid yet; is the clock of this computer right?"
        }
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
            "was made out to another name"
        }
        Wrong::UnknownIssuer => "was signed by nobody whom browsers trust",
        Wrong::Revoked => "was revoked",
        _ => return format!("its certificate is wrong: {error}"),
    };
    format!("its certificate {why}")
}

/// Wraps each connection into a [`Watched`].
#[derive(Debug)]
struct Watch;

/// A connection that notes when something leaves through it.
#[derive(Debug)]
struct Watched<T>(T);

impl<In: Transport> Connector<In> for Watch {
    type Out = Watched<In>;

    fn connect(
        &self,
        _details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Watched<In>>, ureq::Error> {
        Ok(chained.map(Watched))
    }
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        LEFT.set(true);
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
