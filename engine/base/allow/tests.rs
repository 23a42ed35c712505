//! What an operator may write, and whom a call reaches then.

use proptest::prelude::*;

use super::*;

const HTTPS: &[u16] = &[443];

fn aim<'a>(host: &'a Host, port: u16, tls: bool) -> Aim<'a> {
    Aim { host, port, tls, usual_ports: HTTPS }
}

/// Whether a call with TLS to `host` is admitted when it is found at `address`.
fn admits(allow: &[&str], host: &str, address: &str) -> Result<(), Denial> {
    let allow = Allow::named(allow).expect("places");
    let address: SocketAddr = address.parse().expect("an address");
    let host = Host::parse(host).expect("a host");
    allow.admits(aim(&host, address.port(), true), &[address])
}

#[test]
fn place_is_written_as_it_was_read() {
    for text in [
        "127.0.0.1",
        "127.0.0.1:8720",
        "printer.local",
        "printer.local:631",
        "nas",
        "10.0.0.0/8",
        "10.0.0.0/8:631",
        "192.168.1.0/24",
        "[::1]",
        "[::1]:8720",
        "[fd00::/8]",
        "[fd12:3456::/32]:443",
        "my_host:1",
    ] {
        let place: Place = text.parse().expect(text);
        assert_eq!(place.to_string(), text);
    }
    for (text, written) in
        [("::1", "[::1]"), ("fd00::/8", "[fd00::/8]"), ("NAS.Local:80", "nas.local:80")]
    {
        assert_eq!(text.parse::<Place>().expect(text).to_string(), written);
    }
}

#[test]
fn what_is_no_place_is_refused_with_the_reason() {
    let no_host = ["", ".", "a..b", "-a", "a-", "a b", "http://nas", "*.local", "user@nas", "a."];
    for text in no_host.iter().chain(&["[nas]", "[127.0.0.1]", "::g", "10.0.0.1.", "a%2e"]) {
        let error = text.parse::<Place>().expect_err(text);
        let (no_network, no_port) =
            (matches!(error, PlaceError::Network(_)), matches!(error, PlaceError::Port(_)));
        assert!(matches!(error, PlaceError::Host(_)) || no_network || no_port, "{text}: {error}");
    }
    for text in ["127.1", "0x7f.1", "0177.0.0.1", "2130706433", "0x7f000001", "1.2.3.4.5", "a.0x"] {
        assert!(matches!(text.parse::<Place>(), Err(PlaceError::Number(_))), "{text}");
    }
    for text in ["nas:", "nas:0", "nas:65536", "nas:80a", "[::1]:", "[::1]:x"] {
        assert!(matches!(text.parse::<Place>(), Err(PlaceError::Port(_))), "{text}");
    }
    for text in ["0.0.0.0/0", "10.0.0.0/7", "10.1.0.0/8", "nas/8", "10.0.0.0/33", "::/0", "10/8"] {
        assert!(matches!(text.parse::<Place>(), Err(PlaceError::Network(_))), "{text}");
    }
    assert!(matches!("drücker.local".parse::<Place>(), Err(PlaceError::Letters(_))));
}

#[test]
fn public_address_needs_tls_and_the_usual_port_or_a_word() {
    let check = |allow: &[&str], port, tls| {
        let allow = Allow::named(allow).expect("places");
        let host = Host::parse("lab.example.com").expect("a host");
        let address = SocketAddr::new("93.184.215.14".parse().expect("an address"), port);
        allow.admits(aim(&host, port, tls), &[address]).is_ok()
    };
    assert!(check(&[], 443, true));
    assert!(!check(&[], 8443, true));
    assert!(!check(&[], 443, false));
    assert!(!check(&[], 80, false));
    assert!(check(&["lab.example.com:80"], 80, false));
    assert!(!check(&["lab.example.com:80"], 81, false));
    assert!(check(&["lab.example.com"], 8443, true));
    assert!(check(&["93.184.215.14:8443"], 8443, true));
    assert!(!check(&["example.com"], 8443, true));
}

#[test]
fn private_address_is_called_only_when_it_was_named() {
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1:443"),
        ("10.0.0.7", "10.0.0.7:443"),
        ("[::1]", "[::1]:443"),
        ("[fd00::7]", "[fd00::7]:443"),
        ("[fe80::1]", "[fe80::1]:443"),
        ("100.64.0.7", "100.64.0.7:443"),
        ("lab.example.com", "192.168.1.7:443"),
        ("printer.local", "192.168.1.7:443"),
        ("localhost", "127.0.0.1:443"),
    ] {
        let Err(Denial::Unnamed { place, .. }) = admits(&[], host, address) else {
            panic!("{host} at {address} was admitted without a word")
        };
        // The cure that is told is one.
        let cure = place.to_string();
        assert_eq!(admits(&[&cure], host, address), Ok(()), "{host} at {address} with {cure}");
    }
    assert!(admits(&["10.0.0.0/8"], "10.200.3.4", "10.200.3.4:443").is_ok());
    assert!(admits(&["10.0.0.0/8"], "11.0.0.1", "11.0.0.1:444").is_err());
    assert!(admits(&["10.0.0.0/8:444"], "10.0.0.1", "10.0.0.1:443").is_err());
    assert!(admits(&["fd00::/8"], "[fd99::1]", "[fd99::1]:443").is_ok());
    assert!(admits(&["fd00::/8"], "[fc99::1]", "[fc99::1]:443").is_err());
    assert!(admits(&["127.0.0.1"], "[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]:443").is_ok());
    assert!(admits(&["10.0.0.0/8"], "lab.example.com", "10.1.2.3:443").is_ok());
}

#[test]
fn name_is_believed_about_its_own_network_alone() {
    let both = ["lab.example.com", "printer.local", "localhost"];
    assert!(admits(&both, "lab.example.com", "192.168.1.7:443").is_err());
    assert!(admits(&both, "lab.example.com", "127.0.0.1:443").is_err());
    assert!(admits(&both, "printer.local", "192.168.1.7:443").is_ok());
    assert!(admits(&both, "printer.local", "[fe80::7]:443").is_ok());
    assert!(admits(&both, "printer.local", "127.0.0.1:443").is_err());
    assert!(admits(&both, "localhost", "127.0.0.1:443").is_ok());
    assert!(admits(&both, "localhost", "[::1]:443").is_ok());
    assert!(admits(&both, "localhost", "192.168.1.7:443").is_err());
    assert!(admits(&["nas.home.arpa"], "nas.home.arpa", "192.168.1.7:443").is_ok());
    assert!(admits(&["1.10.in-addr.arpa"], "1.10.in-addr.arpa", "192.168.1.7:443").is_err());
}

#[test]
fn nothing_opens_the_way_to_what_is_no_place_for_orders() {
    for address in ["169.254.169.254", "224.0.0.1", "255.255.255.255", "0.0.0.0", "192.0.2.1"] {
        let socket = format!("{address}:443");
        for allow in [address.to_owned(), socket.clone(), format!("{address}/32")] {
            let denied = admits(&[&allow], address, &socket);
            assert!(matches!(denied, Err(Denial::Never(_))), "{address} with {allow}");
        }
        let denied = admits(&["meta.internal"], "meta.internal", &socket);
        assert!(matches!(denied, Err(Denial::Never(_))), "{address} by name");
    }
}

#[test]
fn one_forbidden_address_among_good_ones_is_enough() {
    let host = Host::parse("lab.example.com").expect("a host");
    let good: SocketAddr = "93.184.215.14:443".parse().expect("an address");
    let bad: SocketAddr = "10.0.0.1:443".parse().expect("an address");
    let allow = Allow::default();
    assert!(allow.admits(aim(&host, 443, true), &[good]).is_ok());
    for addresses in [[good, bad], [bad, good]] {
        assert!(allow.admits(aim(&host, 443, true), &addresses).is_err());
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~ä]{0,40}") {
        if let Ok(place) = text.parse::<Place>() {
            prop_assert_eq!(place.to_string().parse::<Place>(), Ok(place));
        }
    }

    #[test]
    fn place_of_any_address_holds_that_address_alone(bits in any::<u128>(), flip in 0_u32..128) {
        let address = IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical();
        let other = IpAddr::V6(Ipv6Addr::from_bits(bits ^ (1 << flip))).to_canonical();
        let place = Place::at(Host::Address(address), 443);
        prop_assert!(place.holds(address, 443));
        prop_assert!(!place.holds(address, 80));
        prop_assert!(!place.holds(other, 443));
    }

    #[test]
    fn network_holds_what_shares_its_bits(bits in any::<u32>(), other in any::<u32>(), prefix in 8_u8..=32) {
        let mask = u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0);
        let network = std::net::Ipv4Addr::from_bits(bits & mask);
        let place: Place = format!("{network}/{prefix}").parse().expect("a network");
        let address = IpAddr::from(std::net::Ipv4Addr::from_bits(other));
        prop_assert_eq!(place.holds(address, 1), other & mask == bits & mask);
    }
}
