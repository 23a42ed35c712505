//! URLs that must not be called: 300 and more, and a listener that hears none of them.

use super::*;

/// Ways to write this computer, and what is no host at all.
const HOSTS: [&str; 74] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7F.1",
    "0x7f.0.0.0x1",
    "0177.0.0.1",
    "00000177.0.0.1",
    "127.0.0.01",
    "127.0.0.0x1",
    "127.127.127.127",
    "0",
    "0.0.0.0",
    "000.000.000.000",
    "0x0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "lab.localhost",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:1::7f00:1]",
    "[2001:0:7f00:1::]",
    "[fe80::5efe:127.0.0.1]",
    "[::1%25lo]",
    "[fe80::1%25eth0]",
    "[v1.7f000001]",
    "[127.0.0.1]",
    "[::ffff:127.0.0.1",
    "lab@127.0.0.1",
    "lab:secret@127.0.0.1",
    "lab.example.com@127.0.0.1",
    "lab.example.com%40127.0.0.1",
    "127.0.0.1%2f@lab.example.com",
    "127.0.0.1%00.lab.example.com",
    "127.0.0.1%23@lab.example.com",
    "@127.0.0.1",
    ":@127.0.0.1",
    "127.0.0.1:80:80",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "lab.exämple.com",
    "xn--.local",
    "-lab.example.com",
    "lab-.example.com",
    "lab..example.com",
    ".lab.example.com",
    "lab.example.com.",
    "*.example.com",
    "lab.example.com\\@127.0.0.1",
    "127.0.0.1\\.lab.example.com",
    "lab example com",
    "lab.example.com\t",
    "127.0.0.1\r\nhost: x",
    "",
    " 127.0.0.1",
    "%31%32%37.0.0.1",
    "0x7f.example.0x1",
];

/// Addresses that nobody named; each is tried as it is and behind a name.
const ADDRESSES: [&str; 52] = [
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.254",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.1.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.254",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::10.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:192.168.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fdff::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "::ffff:0:10.0.0.1",
];

#[test]
fn nothing_reaches_a_place_that_nobody_named() {
    let ear = Ear::new(OK);
    let outward = Outward::new(Allow::default());
    let mut urls = Vec::new();
    for host in HOSTS {
        for start in ["http", "https"] {
            urls.push(format!("{start}://{host}:{}/orders", ear.port));
            urls.push(format!("{start}://{host}/orders"));
        }
    }
    // A public host by these names would be called by the second; no test calls strangers.
    urls.retain(|url| !url.starts_with("https://lab.example.com/"));
    for rest in ["127.0.0.1:{}", "//127.0.0.1:{}/", "http:127.0.0.1:{}", "http:/127.0.0.1:{}/"] {
        urls.push(rest.replace("{}", &ear.port.to_string()));
    }
    for scheme in ["file", "ftp", "gopher", "dict", "ipp", "HTTP+unix", "ws", "javascript"] {
        urls.push(format!("{scheme}://127.0.0.1:{}/", ear.port));
    }
    for port in ["0", "00080", "+80", "65536", "80a", "-1", "", "8 0"] {
        urls.push(format!("http://127.0.0.1:{port}/"));
    }
    for url in &urls {
        let setback = outward.call(get(url)).expect_err(url);
        assert_ne!(setback.fate, Fate::Unknown, "{url}: {}", setback.why);
        assert!(setback.why.contains("called"), "{url}: {}", setback.why);
    }
    assert!(urls.len() >= 300, "{} URLs", urls.len());
    assert_eq!(ear.connections(), 0);
}

/// For every address of the list: it is refused as it is, and behind a name, with TLS as well.
#[test]
fn address_behind_a_name_is_refused_like_the_address() {
    for text in ADDRESSES {
        let address: IpAddr = text.parse().expect("an address");
        let lookup: Lookup = Arc::new(move |_name, port| Ok(vec![SocketAddr::new(address, port)]));
        let outward = finding(&[], lookup);
        let host = Host::Address(address);
        for url in [
            format!("https://{host}/"),
            format!("http://{host}/"),
            "https://lab.example.com/".into(),
            "https://xn--lb-via.example.com/".into(),
        ] {
            let setback = outward.call(get(&url)).expect_err(&url);
            assert_eq!(setback.fate, Fate::Away, "{url} at {text}: {}", setback.why);
            assert!(setback.why.contains("called"), "{url} at {text}: {}", setback.why);
        }
    }
}

/// A good address beside the forbidden one does not help it.
#[test]
fn forbidden_address_behind_good_ones_is_not_reached() {
    let ear = Ear::new(OK);
    let port = ear.port;
    for place in 0..3_usize {
        let lookup: Lookup = Arc::new(move |_name, _port| {
            let good = SocketAddr::from(([93, 184, 215, 14], 443));
            let mut found = vec![good; 2];
            found.insert(place, SocketAddr::from(([127, 0, 0, 1], port)));
            Ok(found)
        });
        let setback = finding(&[], lookup).call(get("https://lab.example.com/"));
        assert_eq!(setback.expect_err("one is forbidden").fate, Fate::Away);
    }
    assert_eq!(ear.connections(), 0);
}
