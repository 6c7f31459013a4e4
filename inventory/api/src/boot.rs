//! Network boot: what a machine is to boot, and the events on its way there.

use std::fmt;

use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};

use crate::dhcp::{DhcpAnswer, DhcpMessage};
use crate::id::{Mac, UnixMs};
use crate::words::wire_word;

/// What a machine boots from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum BootTarget {
    /// The mini-os.
    MiniOs {
        /// What for.
        purpose: Purpose,
    },
    /// Its own disk.
    LocalDisk,
    /// No answer at all.
    Ignore,
}

/// What the mini-os is booted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Asset check.
    Commission,
    /// Wait for a decision.
    Standby,
    /// Install.
    Deploy,
    /// Wipe.
    Release,
    /// A shell for a person at the console. Nothing is reported, installed or wiped.
    Rescue,
}

/// What a person at the machine's own console can choose to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Its own disk.
    LocalDisk,
    /// The mini-os, to report and wait.
    MiniOs,
    /// The mini-os with a shell behind a password.
    Rescue,
    /// Memtest86+.
    MemoryTest,
}

impl Choice {
    /// All, in menu order.
    pub const ALL: [Choice; 4] = [
        Choice::LocalDisk,
        Choice::MiniOs,
        Choice::Rescue,
        Choice::MemoryTest,
    ];
}

/// Something heard from a machine or sent to it. Each MAC keeps a bounded number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootEvent {
    /// When.
    pub at: UnixMs,
    /// Who.
    pub mac: Mac,
    /// Address in use, if any.
    pub ip: Option<std::net::IpAddr>,
    /// Network name, if known.
    pub network: Option<String>,
    /// What.
    pub what: BootEventKind,
}

/// What was heard or answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum BootEventKind {
    /// DHCP message heard and answered.
    Dhcp {
        /// Its type.
        message: DhcpMessage,
        /// Who asks: "bios", "uefi-x64", "ipxe", "slipway", "other", ...
        client: String,
        /// Its answer, or why there was none.
        answer: DhcpAnswer,
        /// Boot file named in the answer.
        boot_file: Option<String>,
        /// What else the message said.
        #[serde(default, skip_serializing_if = "DhcpFacts::is_empty")]
        facts: DhcpFacts,
    },
    /// TFTP request that was refused, or transfer that ended.
    Tftp {
        /// File.
        file: String,
        /// Bytes that the client has acknowledged.
        bytes: u64,
        /// Whether it was read completely.
        complete: bool,
        /// How it ended.
        #[serde(default)]
        end: TftpEnd,
        /// Negotiated block size; absent if no transfer started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block: Option<u16>,
    },
    /// An HTTP response ended.
    Http {
        /// Path without its query.
        path: String,
        /// Bytes that the client has acknowledged.
        bytes: u64,
        /// Status code.
        status: u16,
        /// A HEAD request: nothing was fetched.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        head: bool,
        /// The connection ended before everything was sent.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        partial: bool,
    },
    /// A boot script was sent.
    Script {
        /// What it boots.
        target: BootTarget,
    },
    /// A person chose something in the boot menu.
    Chosen {
        /// What.
        choice: Choice,
        /// Why it was refused; absent if it was not.
        refused: Option<String>,
    },
    /// A connection to the boot service (HTTP) or the TLS port ended without a request.
    Connection {
        /// Our port.
        port: u16,
        /// How it ended.
        end: ConnectionEnd,
        /// Error of the network or the TLS library.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// A request of the machine's agent and its answer. Only claims, reports and refusals are kept.
    Agent {
        /// Last part of the path: "claim", "report", ...
        asked: String,
        /// Status code.
        status: u16,
        /// Code of the problem, if it was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// Detail of the problem.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

/// Facts from a DHCP message beside its type. The producer keeps texts printable and bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DhcpFacts {
    /// The relay it came through (giaddr, or the outermost relay of DHCPv6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<std::net::IpAddr>,
    /// The server it names (option 54), i.e. whose offer it accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<std::net::IpAddr>,
    /// The address it requests or has (option 50, ciaddr).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wants: Option<std::net::IpAddr>,
    /// The first client architecture (option 93).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<u16>,
    /// Kind of a client that does not netboot: "Windows", "a switch in ONIE".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Vendor class (option 60), at most 64 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The machine's UUID (option 97), as printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// It came to the boot server's port, 4011.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub to_boot_server: bool,
}

impl DhcpFacts {
    /// Whether it holds no fact.
    pub fn is_empty(&self) -> bool {
        *self == DhcpFacts::default()
    }
}

/// A transfer in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningTransfer {
    /// The client's address.
    pub ip: std::net::IpAddr,
    /// File or path.
    pub file: String,
    /// "TFTP" or "HTTP".
    pub by: String,
    /// Bytes that the client has acknowledged.
    pub bytes: u64,
    /// Total bytes.
    pub of: u64,
    /// When it started.
    pub begun: UnixMs,
    /// When it last made progress.
    pub moved: UnixMs,
}

/// How a TFTP request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TftpEnd {
    /// Everything, or all but the last block, was acknowledged.
    Complete,
    /// The client asked for the size only and ended the transfer.
    SizeAsked,
    /// The client aborted with an ERROR.
    Refused,
    /// The client stopped answering.
    Silent,
    /// The client never answered.
    NeverAnswered,
    /// The client's host reports the port as unreachable.
    Unreachable,
    /// The client sent another request from the same port.
    Superseded,
    /// No such file.
    NotFound,
    /// A GRUB script for an address that has not fetched GRUB.
    NoGrub,
    /// Too many transfers at once, in total or from this address.
    Busy,
    /// The server could not go on: no socket, or a file that cannot be read.
    Failed,
    /// Not given, or sent by a newer program.
    #[default]
    #[serde(other)]
    Unknown,
}

/// How a connection without a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionEnd {
    /// The machine considers our certificate expired or not yet valid: its clock or the server's is wrong.
    Clock,
    /// The machine does not trust the authority that signed our certificate.
    Authority,
    /// The machine rejects our certificate for another reason.
    Certificate,
    /// It was closed or reset before it was usable.
    Closed,
    /// Nothing usable arrived in time.
    TimedOut,
    /// The client spoke another protocol.
    Protocol,
    /// All connections were in use.
    Busy,
    /// Sent by a newer program.
    #[serde(other)]
    Unknown,
}

/// What the boot script passes to the mini-os on the kernel command line, as `slipway.NAME=VALUE` words.
#[derive(Clone, PartialEq, Eq)]
pub struct BootArgs {
    /// Base URL of the TLS port, e.g. `https://10.0.0.1:8443`.
    pub server: String,
    /// Base URL of the plain boot service, e.g. `http://10.0.0.1:8067`.
    pub boot_url: String,
    /// The NIC that booted.
    pub mac: Mac,
    /// The single-use boot ticket.
    pub ticket: String,
    /// Server clock when the script was made: good enough to check a certificate.
    pub time: UnixMs,
    /// What the mini-os is booted for.
    pub purpose: Purpose,
}

/// Word of a kernel command line that is the same for all machines: base URLs of boot services, separated by
/// commas. The mini-os asks one of them for its [`BootArgs`]: `GET URL/boot.args?mac=MAC`.
const ASK: &str = "slipway.ask=";

/// The word for these URLs.
pub fn ask_word(urls: &[String]) -> String {
    format!("{ASK}{}", urls.join(","))
}

/// The URLs in a kernel command line; empty if it carries the [`BootArgs`] itself.
pub fn ask_urls(command_line: &str) -> Vec<String> {
    let words = command_line.split_ascii_whitespace();
    let list = words.filter_map(|word| word.strip_prefix(ASK)).next_back();
    list.into_iter()
        .flat_map(|list| list.split(','))
        .filter(|url| url.starts_with("http://"))
        .map(str::to_owned)
        .collect()
}

/// Why a kernel command line has no usable [`BootArgs`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootArgsError {
    /// A word is missing.
    #[error("the kernel command line has no {0}: this system was not booted by Slipway")]
    Missing(&'static str),
    /// A word cannot be parsed.
    #[error("the kernel command line has a malformed {0}")]
    Wrong(&'static str),
}

impl BootArgs {
    /// The words for the kernel command line.
    pub fn to_words(&self) -> Vec<String> {
        vec![
            format!("slipway.server={}", self.server),
            format!("slipway.boot={}", self.boot_url),
            format!("slipway.mac={}", self.mac),
            format!("slipway.ticket={}", self.ticket),
            format!("slipway.time={}", self.time.0),
            format!("slipway.purpose={}", self.purpose),
        ]
    }

    /// Reads a kernel command line.
    pub fn parse(command_line: &str) -> Result<BootArgs, BootArgsError> {
        let word = |name: &'static str| {
            command_line
                .split_ascii_whitespace()
                .filter_map(|w| w.strip_prefix(name)?.strip_prefix('='))
                .next_back()
                .ok_or(BootArgsError::Missing(name))
        };
        let wrong = BootArgsError::Wrong;
        Ok(BootArgs {
            server: word("slipway.server")?.to_owned(),
            boot_url: word("slipway.boot")?.to_owned(),
            mac: word("slipway.mac")?.parse().map_err(|_| wrong("slipway.mac"))?,
            ticket: word("slipway.ticket")?.to_owned(),
            time: UnixMs(word("slipway.time")?.parse().map_err(|_| wrong("slipway.time"))?),
            purpose: word("slipway.purpose")?
                .parse()
                .map_err(|()| wrong("slipway.purpose"))?,
        })
    }
}

impl fmt::Debug for BootArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The ticket is a secret and must not reach a log.
        write!(f, "BootArgs({} {} {})", self.mac, self.purpose, self.server)
    }
}

wire_word!(Purpose);

wire_word!(Choice, read);

impl std::str::FromStr for Purpose {
    type Err = ();
    fn from_str(text: &str) -> Result<Purpose, ()> {
        let text: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
        Purpose::deserialize(text).map_err(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_to_ask_round_trip() {
        let urls = [
            "http://10.0.0.1:8067".to_owned(),
            "http://10.1.0.1:8067".to_owned(),
        ];
        assert_eq!(ask_urls(&format!("quiet {}", ask_word(&urls))), urls);
        for none in ["", "quiet", "slipway.ask=", "slipway.ask=file:///etc/passwd"] {
            assert!(ask_urls(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn boot_args_round_trip() {
        let args = BootArgs {
            server: "https://10.0.0.1:8443".into(),
            boot_url: "http://10.0.0.1:8067".into(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            ticket: "secret".into(),
            time: UnixMs(1_700_000_000_000),
            purpose: Purpose::Deploy,
        };
        let line = format!("console=ttyS0 {} quiet", args.to_words().join(" "));
        assert!(BootArgs::parse(&line).unwrap() == args);
        assert!(!format!("{args:?}").contains("secret"));
        assert_eq!(
            BootArgs::parse("quiet"),
            Err(BootArgsError::Missing("slipway.server"))
        );
    }
}
