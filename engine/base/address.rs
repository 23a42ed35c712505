//! What kind of place an IP address is, as the registries of IANA have it.
//!
//! In:  an address.
//! Out: whether strangers on the internet may be there, or whose own place it is.
//!
//! An IPv6 address may hold an IPv4 address inside. Of one that networks translate to this day
//! (mapped, NAT64) the inner address counts; the ways of tunnelling that are given up go nowhere.
//!
//! Knows nothing of names, ports or what an operator allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whose place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anybody's, on the internet.
    Public,
    /// This computer.
    Loopback,
    /// The cable or radio cell this computer is on, without a router.
    LinkLocal,
    /// A home or company network (RFC 1918, RFC 4193).
    Private,
    /// Between a carrier and its customers (RFC 6598); overlay networks use it as well.
    Shared,
    /// Nowhere that orders could go; why.
    Never(&'static str),
}

impl Kind {
    /// Fit to stand behind "is".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "this computer itself",
            Self::LinkLocal => "a link-local address",
            Self::Private => "an address of a private network",
            Self::Shared => "an address of a carrier's network",
            Self::Never(why) => why,
        }
    }
}

const METADATA: Kind = Kind::Never("where clouds keep credentials");
const DOCUMENTATION: Kind = Kind::Never("an address for documentation");
const RESERVED: Kind = Kind::Never("a reserved address");
const MULTICAST: Kind = Kind::Never("a multicast address");
const TUNNEL: Kind = Kind::Never("an address of a tunnel");

/// Tells whose place an address is.
pub fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        [169, 254, 169, 254] | [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => {
            METADATA
        }
        [0, ..] => Kind::Never("no address of anybody"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Kind::Private,
        [100, 64..=127, ..] => Kind::Shared,
        [127, ..] => Kind::Loopback,
        [169, 254, ..] => Kind::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => DOCUMENTATION,
        // Protocols, AS112, AMT, the old 6to4 relays, benchmarks.
        [192, 0, 0, _]
        | [192, 31, 196, _]
        | [192, 52, 193, _]
        | [192, 88, 99, _]
        | [192, 175, 48, _]
        | [198, 18 | 19, ..] => RESERVED,
        [224..=239, ..] => MULTICAST,
        [255, 255, 255, 255] => Kind::Never("the broadcast address"),
        [240..=255, ..] => RESERVED,
        _ => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        kind_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // AWS, Google, Scaleway.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]
        | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] => METADATA,
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Never("no address of anybody"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Loopback,
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            inner(high, low)
        }
        // IPv4-compatible, translated, locally translated, 6to4, ISATAP.
        [0, 0, 0, 0, 0, 0, _, _]
        | [0, 0, 0, 0, 0xffff, 0, _, _]
        | [0x64, 0xff9b, 1, ..]
        | [0x2002, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => TUNNEL,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => DOCUMENTATION,
        [0x2001, 0, ..] => TUNNEL,
        // Protocols, ORCHID; AS112.
        [0x2001, 1..=0x1ff, ..] | [0x2620, 0x4f, 0x8000, ..] => RESERVED,
        [0x2000..=0x3fff, ..] => Kind::Public,
        [0xfc00..=0xfdff, ..] => Kind::Private,
        [0xfe80..=0xfebf, ..] => Kind::LinkLocal,
        [0xff00..=0xffff, ..] => MULTICAST,
        _ => RESERVED,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(kind_of_all: Kind, addresses: &[&str]) {
        for text in addresses {
            let address: IpAddr = text.parse().expect("an address");
            assert_eq!(kind(address), kind_of_all, "{text}");
        }
    }

    #[test]
    fn edges_of_each_range_are_told_apart() {
        use Kind::{LinkLocal, Loopback, Private, Public, Shared};
        check(Public, &["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"]);
        check(Public, &["126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0"]);
        check(Public, &["172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0"]);
        check(Public, &["192.0.1.255", "198.17.255.255", "198.20.0.0", "223.255.255.255"]);
        check(Public, &["2000::", "2001:200::1", "2606:4700::1111", "3ffe::1", "3fff:1000::"]);
        check(Public, &["::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]);
        check(Private, &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255"]);
        check(Private, &["192.168.0.0", "192.168.255.255", "fc00::", "fdff:ffff::1"]);
        check(Private, &["::ffff:10.0.0.1", "64:ff9b::192.168.1.1"]);
        check(Shared, &["100.64.0.0", "100.127.255.255", "::ffff:100.64.0.1"]);
        check(Loopback, &["127.0.0.0", "127.255.255.255", "::1", "::ffff:127.0.0.1"]);
        check(Loopback, &["64:ff9b::127.0.0.1"]);
        check(LinkLocal, &["169.254.0.0", "169.254.255.255", "fe80::", "febf::1"]);
        check(METADATA, &["169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16"]);
        check(METADATA, &["fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254"]);
        check(METADATA, &["64:ff9b::a9fe:a9fe", "fd00:42::42"]);
        check(MULTICAST, &["224.0.0.0", "239.255.255.255", "ff00::", "ff02::fb"]);
        check(DOCUMENTATION, &["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"]);
        check(DOCUMENTATION, &["3fff::1", "3fff:fff::1"]);
        check(RESERVED, &["192.0.0.1", "198.18.0.0", "198.19.255.255", "240.0.0.0"]);
        check(RESERVED, &["255.255.255.254", "192.88.99.1", "2001:1::1", "2001:1ff::1"]);
        check(RESERVED, &["100::", "1fff::1", "4000::", "5f00::1", "fe00::1", "fec0::1"]);
        check(TUNNEL, &["::127.0.0.1", "::8.8.8.8", "2002:7f00:1::", "2002:a00:1::1"]);
        check(TUNNEL, &["2001::1", "2001:0:a9fe:a9fe::", "64:ff9b:1::1", "::ffff:0:7f00:1"]);
        check(TUNNEL, &["2606:4700::5efe:10.0.0.1", "fe80::200:5efe:192.168.1.1"]);
        check(Kind::Never("no address of anybody"), &["0.0.0.0", "0.255.255.255", "::"]);
        check(Kind::Never("the broadcast address"), &["255.255.255.255"]);
    }

    proptest! {
        /// The standard library is an independent opinion on what it knows of.
        #[test]
        fn address_that_the_standard_library_calls_special_is_not_public(bits in any::<u32>()) {
            let address = Ipv4Addr::from(bits);
            let special = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_multicast()
                || address.is_unspecified();
            if special {
                prop_assert_ne!(kind(address.into()), Kind::Public);
            }
            prop_assert_eq!(kind(address.to_ipv6_mapped().into()), kind(address.into()));
        }

        #[test]
        fn only_global_unicast_is_public(bits in any::<u128>()) {
            let address = Ipv6Addr::from(bits);
            if kind(address.into()) == Kind::Public {
                let global = address.segments()[0] & 0xe000 == 0x2000;
                let inside = address.to_ipv4_mapped().is_some()
                    || address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
                prop_assert!(global || inside, "{address}");
            }
        }
    }
}
