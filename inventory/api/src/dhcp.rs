//! DHCP messages and their answers, as boot events record them. On the wire they are short strings.

use std::fmt;

use serde::Serialize;

use crate::id::text_serde;
use crate::words::{wire_word, words};

words!(
    /// The type of a client's DHCP message.
    DhcpMessage {
        /// DHCPv4: looks for a server.
        Discover = "discover",
        /// Accepts, confirms or renews an address.
        Request = "request",
        /// Another host uses the address.
        Decline = "decline",
        /// Gives the address back.
        Release = "release",
        /// DHCPv4: asks for settings only.
        Inform = "inform",
        /// DHCPv6: looks for a server.
        Solicit = "solicit",
        /// DHCPv6: asks whether the address is still right.
        Confirm = "confirm",
        /// DHCPv6: renews an address at its server.
        Renew = "renew",
        /// DHCPv6: renews an address at any server.
        Rebind = "rebind",
        /// DHCPv6: asks for settings only.
        InformationRequest = "information-request",
    }
    /// Newer than this program.
    else Unknown
);

impl DhcpMessage {
    /// Whether it starts an exchange.
    pub fn looks_for_server(&self) -> bool {
        matches!(self, DhcpMessage::Discover | DhcpMessage::Solicit)
    }
}

/// The type of a server's DHCP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DhcpReply {
    /// DHCPv4: offers an address, boot data or both.
    Offer,
    /// DHCPv4: confirms.
    Ack,
    /// DHCPv4: the client must start over.
    Nak,
    /// DHCPv6: offers an address, boot data or both.
    Advertise,
    /// DHCPv6: confirms.
    Reply,
}

impl DhcpReply {
    const ALL: [DhcpReply; 5] = [
        DhcpReply::Offer,
        DhcpReply::Ack,
        DhcpReply::Nak,
        DhcpReply::Advertise,
        DhcpReply::Reply,
    ];
}

wire_word!(DhcpReply, read);

/// What became of a client's DHCP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhcpAnswer {
    /// Answered.
    Sent(DhcpReply),
    /// Answered by DHCPv6 with a status instead of an address (RFC 8415, 21.13): "no-address", ...
    Status(DhcpReply, String),
    /// The network is only observed; this would have been the answer.
    Would(DhcpReply),
    /// The network is only observed, and there would have been no answer: code of the reason.
    WouldNot(String),
    /// Not answered: code of the reason. Answers newer than this program are read as this.
    Silent(String),
}

impl DhcpAnswer {
    /// Whether it offers an address or boot data.
    pub fn offers(&self) -> bool {
        matches!(self, DhcpAnswer::Sent(DhcpReply::Offer | DhcpReply::Advertise))
    }

    /// Whether it confirms an address or boot data.
    pub fn confirms(&self) -> bool {
        matches!(self, DhcpAnswer::Sent(DhcpReply::Ack | DhcpReply::Reply))
    }

    /// Whether it gives the client something: neither a refusal nor a silence.
    pub fn gives(&self) -> bool {
        self.offers() || self.confirms()
    }
}

impl fmt::Display for DhcpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DhcpAnswer::Sent(reply) => write!(f, "{reply}"),
            DhcpAnswer::Status(reply, status) => write!(f, "{reply}: {status}"),
            DhcpAnswer::Would(reply) => write!(f, "would-{reply}"),
            DhcpAnswer::WouldNot(code) => write!(f, "would-not: {code}"),
            DhcpAnswer::Silent(code) => f.write_str(code),
        }
    }
}

impl From<&str> for DhcpAnswer {
    fn from(text: &str) -> DhcpAnswer {
        if let Ok(reply) = text.parse() {
            return DhcpAnswer::Sent(reply);
        }
        if let Some(code) = text.strip_prefix("would-not: ") {
            return DhcpAnswer::WouldNot(code.to_owned());
        }
        if let Some(Ok(reply)) = text.strip_prefix("would-").map(str::parse) {
            return DhcpAnswer::Would(reply);
        }
        let status = text.split_once(": ");
        match status.and_then(|(reply, status)| Some((reply.parse().ok()?, status))) {
            Some((reply, status)) => DhcpAnswer::Status(reply, status.to_owned()),
            None => DhcpAnswer::Silent(text.to_owned()),
        }
    }
}

text_serde!(DhcpAnswer, DhcpAnswer::try_from);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_answers_are_the_strings_of_the_wire() {
        for name in [
            "discover",
            "request",
            "decline",
            "release",
            "inform",
            "solicit",
            "confirm",
            "renew",
            "rebind",
            "information-request",
            "reconfigure",
        ] {
            let message: DhcpMessage = serde_json::from_value(name.into()).unwrap();
            assert_eq!(matches!(message, DhcpMessage::Unknown(_)), name == "reconfigure");
            assert_eq!(serde_json::to_value(&message).unwrap(), name);
            assert_eq!(message.to_string(), name);
        }
        let silent = |code: &str| DhcpAnswer::Silent(code.to_owned());
        for (text, answer) in [
            ("offer", DhcpAnswer::Sent(DhcpReply::Offer)),
            ("nak", DhcpAnswer::Sent(DhcpReply::Nak)),
            ("reply", DhcpAnswer::Sent(DhcpReply::Reply)),
            (
                "advertise: no-address",
                DhcpAnswer::Status(DhcpReply::Advertise, "no-address".to_owned()),
            ),
            ("would-ack", DhcpAnswer::Would(DhcpReply::Ack)),
            (
                "would-not: pool-exhausted",
                DhcpAnswer::WouldNot("pool-exhausted".to_owned()),
            ),
            ("pool-exhausted", silent("pool-exhausted")),
            ("would-relay", silent("would-relay")),
            ("newer: than this", silent("newer: than this")),
        ] {
            assert_eq!(serde_json::from_value::<DhcpAnswer>(text.into()).unwrap(), answer);
            assert_eq!(serde_json::to_value(&answer).unwrap(), text);
        }
    }
}
