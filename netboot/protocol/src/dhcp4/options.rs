//! A network's options that do not depend on the client, by code.

use std::net::Ipv4Addr;

use crate::dhcp4::code;
use crate::dhcp4::custom::{LONGEST, classless_routes, custom_option, search_list};
use crate::network::settings::NetworkSettings;

/// Options by code, before long ones are split (RFC 3396).
pub(crate) type Options = Vec<(u8, Vec<u8>)>;

/// The options that `settings` produce. `of_class`: boot options may be set by hand.
///
/// # Errors
/// An option cannot be sent.
pub(crate) fn fixed_options(settings: &NetworkSettings, of_class: bool) -> Result<Options, String> {
    let list = |all: &[Ipv4Addr]| all.iter().flat_map(Ipv4Addr::octets).collect::<Vec<u8>>();
    let text = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
    let mtu = settings.mtu.map(u16::to_be_bytes).map(Vec::from);
    let wait = settings.ipv6_only_seconds.map(u32::to_be_bytes).map(Vec::from);
    let routes = classless_routes(&settings.routes, settings.routers.first().copied());
    let (netmask, broadcast) = (settings.subnet.netmask(), settings.subnet.broadcast());
    let mut options: Options = Vec::new();
    for (code, what, value) in [
        (code::SUBNET_MASK, "subnet", list(&[netmask])),
        (code::ROUTERS, "router", list(&settings.routers)),
        (code::DNS, "dns", list(&settings.dns)),
        (code::DOMAIN, "domain", text(&settings.domain)),
        (code::MTU, "mtu", mtu.unwrap_or_default()),
        (code::BROADCAST, "subnet", list(&[broadcast])),
        (code::NTP, "ntp", list(&settings.ntp)),
        (code::IPV6_ONLY, "ipv6_only_seconds", wait.unwrap_or_default()),
        (code::SEARCH_LIST, "search", search_list(&settings.search)),
        (code::CLASSLESS_ROUTES, "routes", routes),
    ] {
        if value.len() > LONGEST {
            return Err(format!(
                "{what} is longer than {LONGEST} bytes; remove some entries"
            ));
        }
        if !value.is_empty() {
            options.push((code, value));
        }
    }
    for option in &settings.options {
        let (code, bytes) =
            custom_option(option, of_class).map_err(|why| format!("option {} {why}", option.code))?;
        if options.iter().any(|(other, _)| *other == code) {
            return Err(format!("option {code} is set twice"));
        }
        options.push((code, bytes));
    }
    Ok(options)
}
