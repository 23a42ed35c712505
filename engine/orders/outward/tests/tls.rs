//! Certificates that are wrong, against a real TLS listener: nothing leaves, and words say why.

use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::*;

/// Somebody whom the client believes, and others.
struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("signed").der().clone();
        Self { root, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("signed").der().clone(), key)
    }
}

fn made_out_to(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).expect("a name")
}

/// Calls `https://lab.example.com` where a listener shows this certificate.
fn call_shown(
    trusted: &Authority,
    shown: (CertificateDer<'static>, KeyPair),
) -> (Result<Reply, Setback>, Vec<u8>) {
    let (at, served) = listener_that_shows(shown);
    let answer = outward(trusted, at).call(get("https://lab.example.com/"));
    (answer, served.join().expect("served"))
}

/// Answers one call with a certificate, and gives what it heard.
fn listener_that_shows(
    (certificate, key): (CertificateDer<'static>, KeyPair),
) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(rustls_provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    let served = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let connection = ServerConnection::new(Arc::new(config)).expect("a connection");
        let mut stream = StreamOwned::new(connection, stream);
        let mut heard = vec![0; 4096];
        // An alert, where the client does not like the certificate.
        let count = stream.read(&mut heard).unwrap_or(0);
        heard.truncate(count);
        if count > 0 {
            stream.write_all(OK).expect("the client listens");
            stream.conn.send_close_notify();
            stream.flush().expect("the client listens");
        }
        heard
    });
    (at, served)
}

fn rustls_provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn outward(trusted: &Authority, at: SocketAddr) -> Outward {
    let lookup: Lookup = Arc::new(move |_name, _port| Ok(vec![at]));
    let gate = Gate::new(allow(&["127.0.0.1"]), OWNERS_BOOK).looking_up(lookup);
    let roots = RootCerts::from(vec![Certificate::from_der(&trusted.root).to_owned()]);
    let config = Agent::config_builder().tls_config(TlsConfig::builder().root_certs(roots).build());
    Outward::through(gate, config, Duration::from_millis(2000))
}

#[test]
fn right_certificate_is_believed() {
    let trusted = Authority::new("trusted");
    let shown = trusted.sign(&made_out_to("lab.example.com"));
    let (answer, heard) = call_shown(&trusted, shown);
    assert_eq!(answer.expect("an answer").status, 200);
    assert!(heard.starts_with(b"GET / HTTP/1.1\r\n"));
}

#[test]
fn wrong_certificate_is_a_reason_in_words_and_nothing_leaves() {
    let (trusted, stranger) = (Authority::new("trusted"), Authority::new("stranger"));
    let mut expired = made_out_to("lab.example.com");
    (expired.not_before, expired.not_after) =
        (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    let mut early = made_out_to("lab.example.com");
    (early.not_before, early.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2091, 1, 1));
    let alone = KeyPair::generate().expect("a key");
    let self_signed = made_out_to("lab.example.com").self_signed(&alone).expect("signed");
    for (shown, word) in [
        (trusted.sign(&expired), "has expired"),
        (trusted.sign(&early), "not valid yet"),
        (trusted.sign(&made_out_to("other.example.com")), "another name"),
        (trusted.sign(&made_out_to("*.lab.example.com")), "another name"),
        (stranger.sign(&made_out_to("lab.example.com")), "signed by nobody"),
        ((self_signed.der().clone(), alone), "signed by nobody"),
    ] {
        let (answer, heard) = call_shown(&trusted, shown);
        let setback = answer.expect_err(word);
        assert_eq!(setback.fate, Fate::Away, "{}", setback.why);
        assert!(
            setback.why.contains("its certificate") && setback.why.contains(word),
            "{}",
            setback.why
        );
        assert_eq!(heard, b"", "{word}");
    }
}

#[test]
fn tls_that_does_not_come_about_has_taken_nothing() {
    let trusted = Authority::new("trusted");
    for say in [&b""[..], b"HTTP/1.1 200 OK\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.read_exact(&mut [0; 16]).expect("a greeting");
            let _caller_may_be_gone = stream.write_all(say);
            // Hangs up, or waits for a caller who waits for it.
            let _rest = say.is_empty().then(|| stream.read_to_end(&mut Vec::new()));
        });
        let setback = outward(&trusted, at).call(get("https://lab.example.com/"));
        let setback = setback.expect_err("no TLS");
        assert_eq!(setback.fate, Fate::Away, "{}", setback.why);
        served.join().expect("served");
    }
}

#[test]
fn certificate_in_a_file_is_believed_at_its_own_names_and_nowhere_else() {
    let made = |names: &[&str]| {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.self_signed(&key).expect("signed");
        ((certificate.der().clone(), key), certificate.pem())
    };
    let call = |shown: (CertificateDer<'static>, KeyPair), trust: &str| {
        let (at, served) = listener_that_shows(shown);
        let settings = || Agent::config_builder().timeout_global(Some(Duration::from_secs(2)));
        let fetching = Fetching::new(&allow(&["127.0.0.1"]), settings, Some(trust.as_bytes()));
        let url = format!("https://127.0.0.1:{}/", at.port());
        let answer = fetching.expect("a certificate").client(&url).get(&url).call();
        let answer = answer.map(|answer| answer.status().as_u16()).map_err(|error| words(&error));
        (answer, served.join().expect("served"))
    };
    let (hub, hub_pem) = made(&["127.0.0.1", "hub.example"]);
    assert_eq!(call(hub, &hub_pem).0, Ok(200));
    // Another certificate with the same names, and the right one where it says nothing of this.
    for (shown, trust) in [
        (made(&["127.0.0.1"]).0, hub_pem.clone()),
        (made(&["127.0.0.1"]).0, made(&["hub.example"]).1),
    ] {
        let (answer, heard) = call(shown, &trust);
        assert!(answer.expect_err("nobody to believe").contains("its certificate"));
        assert_eq!(heard, b"");
    }
    let nonsense = Fetching::new(&Allow::default(), Agent::config_builder, Some(b"nonsense"));
    assert!(nonsense.is_err());
}
