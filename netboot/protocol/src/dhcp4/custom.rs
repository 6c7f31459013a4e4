//! Options whose bytes we build ourselves: search list, routes, and options the operator adds.

use std::net::Ipv4Addr;

use crate::dhcp4::code;
use crate::names::labels;
use crate::network::settings::{CustomOption, Route};

/// The longest value of one option: more leaves no room for the others in a packet on Ethernet.
pub(crate) const LONGEST: usize = 1024;

/// Codes that Slipway sets itself, and the setting to use instead.
const OURS: [(u8, &str); 33] = [
    (0, "it is padding"),
    (1, "`subnet` says it"),
    (3, "use `router`"),
    (6, "use `dns`"),
    (12, "machines have their own host names"),
    (15, "use `domain`"),
    (26, "use `mtu`"),
    (28, "`subnet` says it"),
    (42, "use `ntp`"),
    (43, "it carries boot data"),
    (50, "clients send it"),
    (51, "use `lease_seconds`"),
    (52, "replies are overloaded as needed"),
    (53, "it is the message type"),
    (54, "`server` says it"),
    (55, "clients send it"),
    (56, "it is the text of a NAK"),
    (57, "clients send it"),
    (58, "it follows from `lease_seconds`"),
    (59, "it follows from `lease_seconds`"),
    (60, "it carries boot data"),
    (61, "clients send it"),
    (66, "it carries boot data"),
    (67, "it carries boot data"),
    (81, "it answers a client's name"),
    (82, "relays send it"),
    (97, "clients send it"),
    (108, "use `ipv6_only_seconds`"),
    (118, "clients send it"),
    (119, "use `search`"),
    (121, "use `routes`"),
    (code::IPXE, "it is iPXE's"),
    (255, "it is the end marker"),
];

/// Codes of these that a class may set, for clients that Slipway does not boot.
pub(crate) const BOOT: [u8; 4] = [
    code::VENDOR_OPTIONS,
    code::VENDOR_CLASS,
    code::TFTP_SERVER,
    code::BOOT_FILE,
];

/// Code and bytes of a custom option. `of_class`: it belongs to a class, which may set boot data.
///
/// # Errors
/// What is wrong with it, completing a sentence that begins with `option CODE`.
pub(crate) fn custom_option(option: &CustomOption, of_class: bool) -> Result<(u8, Vec<u8>), String> {
    let ours = OURS.iter().find(|(code, _)| *code == option.code);
    if let Some((code, why)) = ours
        && !(of_class && BOOT.contains(code))
    {
        return Err(format!("cannot be set by hand: {why}"));
    }
    let bytes = match (&option.text, &option.addresses, &option.hex) {
        (Some(text), None, None) => text.clone().into_bytes(),
        (None, Some(addresses), None) => addresses.iter().flat_map(Ipv4Addr::octets).collect(),
        (None, None, Some(hex)) => hex::decode(hex).map_err(|_| format!("{hex:?} is not hexadecimal"))?,
        _ => return Err("needs exactly one of `text`, `addresses`, `hex`".to_owned()),
    };
    if bytes.is_empty() || bytes.len() > LONGEST {
        return Err(format!("has {} bytes; 1 to {LONGEST} can be sent", bytes.len()));
    }
    Ok((option.code, bytes))
}

/// Option 119 (RFC 3397), without compression, which many clients misread.
pub(crate) fn search_list(domains: &[String]) -> Vec<u8> {
    let whole = |domain: &String| [&labels(domain)[..], &[0]].concat();
    domains.iter().flat_map(whole).collect()
}

/// Option 121 (RFC 3442), with the default route if there is a router: clients that read 121 ignore option 3.
/// Empty without routes.
pub(crate) fn classless_routes(routes: &[Route], router: Option<Ipv4Addr>) -> Vec<u8> {
    let lacks_default = !routes.is_empty() && routes.iter().all(|route| route.to.prefix_len() != 0);
    let default = router.filter(|_| lacks_default);
    let default = default.map(|via| Route {
        to: ipnet::Ipv4Net::default(),
        via,
    });
    let mut bytes = Vec::new();
    for route in routes.iter().copied().chain(default) {
        let significant = usize::from(route.to.prefix_len()).div_ceil(8);
        bytes.push(route.to.prefix_len());
        bytes.extend(&route.to.network().octets()[..significant]);
        bytes.extend(route.via.octets());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_those_of_rfc_3442() {
        let route = |to: &str, via: [u8; 4]| Route {
            to: to.parse().unwrap(),
            via: via.into(),
        };
        // The examples of RFC 3442: significant octets only.
        let routes = [
            route("10.0.0.0/8", [10, 0, 0, 1]),
            route("10.17.0.0/16", [10, 0, 0, 2]),
            route("10.27.129.0/24", [10, 0, 0, 3]),
            route("10.229.0.128/25", [10, 0, 0, 4]),
            route("10.198.122.47/32", [10, 0, 0, 5]),
        ];
        let expected = [
            &[8, 10, 10, 0, 0, 1][..],
            &[16, 10, 17, 10, 0, 0, 2],
            &[24, 10, 27, 129, 10, 0, 0, 3],
            &[25, 10, 229, 0, 128, 10, 0, 0, 4],
            &[32, 10, 198, 122, 47, 10, 0, 0, 5],
        ]
        .concat();
        assert_eq!(classless_routes(&routes, None), expected);
        let with_default = [expected, vec![0, 10, 0, 0, 254]].concat();
        assert_eq!(
            classless_routes(&routes, Some([10, 0, 0, 254].into())),
            with_default
        );
        let own_default = [route("0.0.0.0/0", [10, 0, 0, 9])];
        assert_eq!(
            classless_routes(&own_default, Some([10, 0, 0, 254].into())),
            [0, 10, 0, 0, 9]
        );
    }

    #[test]
    fn search_lists_are_labels() {
        let domains = ["eng.apple.com".to_owned(), "b.c".to_owned()];
        assert_eq!(search_list(&domains), b"\x03eng\x05apple\x03com\0\x01b\x01c\0");
    }

    #[test]
    fn custom_options_and_their_mistakes() {
        let option = |code, text: Option<&str>, hex: Option<&str>| CustomOption {
            code,
            text: text.map(str::to_owned),
            addresses: None,
            hex: hex.map(str::to_owned),
        };
        assert_eq!(
            custom_option(&option(100, Some("CET"), None), false),
            Ok((100, b"CET".to_vec()))
        );
        assert_eq!(
            custom_option(&option(224, None, Some("00fF")), false),
            Ok((224, vec![0, 255]))
        );
        let addresses = CustomOption {
            code: 150,
            addresses: Some(vec![[10, 0, 0, 1].into(), [10, 0, 0, 2].into()]),
            ..CustomOption::default()
        };
        assert_eq!(
            custom_option(&addresses, false),
            Ok((150, vec![10, 0, 0, 1, 10, 0, 0, 2]))
        );
        for (wrong, expected) in [
            (option(53, Some("x"), None), "it is the message type"),
            (option(6, Some("x"), None), "use `dns`"),
            (option(175, Some("x"), None), "iPXE"),
            (option(100, None, None), "exactly one of"),
            (option(100, Some("x"), Some("00")), "exactly one of"),
            (option(100, None, Some("0")), "not hexadecimal"),
            (option(100, None, Some("é0")), "not hexadecimal"),
            (option(100, Some(""), None), "has 0 bytes"),
            (option(100, Some(&"x".repeat(1025)), None), "has 1025 bytes"),
            (option(67, Some("x"), None), "it carries boot data"),
            (option(108, Some("x"), None), "use `ipv6_only_seconds`"),
        ] {
            let error = custom_option(&wrong, false).unwrap_err();
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        }
        let of_class = |code| custom_option(&option(code, Some("x"), None), true);
        assert!(of_class(67).is_ok() && of_class(53).is_err() && of_class(175).is_err());
    }
}
