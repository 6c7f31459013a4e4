//! Codes of the DHCPv4 options we read or write (IANA, "BOOTP Vendor Extensions and DHCP Options").

pub(crate) const SUBNET_MASK: u8 = 1;
pub(crate) const ROUTERS: u8 = 3;
pub(crate) const DNS: u8 = 6;
pub(crate) const HOST_NAME: u8 = 12;
pub(crate) const DOMAIN: u8 = 15;
pub(crate) const MTU: u8 = 26;
pub(crate) const BROADCAST: u8 = 28;
pub(crate) const NTP: u8 = 42;
pub(crate) const VENDOR_OPTIONS: u8 = 43;
pub(crate) const REQUESTED_ADDRESS: u8 = 50;
pub(crate) const LEASE_TIME: u8 = 51;
pub(crate) const OVERLOAD: u8 = 52;
pub(crate) const MESSAGE_TYPE: u8 = 53;
pub(crate) const SERVER_ID: u8 = 54;
pub(crate) const PARAMETER_LIST: u8 = 55;
pub(crate) const MESSAGE: u8 = 56;
pub(crate) const MAX_SIZE: u8 = 57;
pub(crate) const RENEWAL_TIME: u8 = 58;
pub(crate) const REBINDING_TIME: u8 = 59;
pub(crate) const VENDOR_CLASS: u8 = 60;
pub(crate) const CLIENT_ID: u8 = 61;
pub(crate) const TFTP_SERVER: u8 = 66;
pub(crate) const BOOT_FILE: u8 = 67;
pub(crate) const USER_CLASS: u8 = 77;
pub(crate) const FQDN: u8 = 81;
pub(crate) const RELAY_AGENT: u8 = 82;
pub(crate) const ARCHITECTURE: u8 = 93;
pub(crate) const MACHINE_ID: u8 = 97;
/// RFC 8925.
pub(crate) const IPV6_ONLY: u8 = 108;
/// RFC 3011.
pub(crate) const SUBNET_SELECTION: u8 = 118;
pub(crate) const SEARCH_LIST: u8 = 119;
pub(crate) const CLASSLESS_ROUTES: u8 = 121;
/// iPXE's encapsulated options.
pub(crate) const IPXE: u8 = 175;

/// Sub-options of [`RELAY_AGENT`].
pub(crate) mod relay {
    pub(crate) const CIRCUIT_ID: u8 = 1;
    pub(crate) const REMOTE_ID: u8 = 2;
    /// RFC 3527.
    pub(crate) const LINK_SELECTION: u8 = 5;
    /// RFC 5107.
    pub(crate) const SERVER_OVERRIDE: u8 = 11;
}

/// Sub-options of [`IPXE`].
pub(crate) mod ipxe {
    /// Set if it can fetch by HTTP.
    pub(crate) const HTTP: u8 = 19;
    /// Set if it runs on UEFI.
    pub(crate) const EFI: u8 = 36;
    pub(crate) const NO_PXEDHCP: u8 = 176;
}
