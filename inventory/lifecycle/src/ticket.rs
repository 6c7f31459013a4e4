//! Whether an agent that claims a boot ticket gets a certificate.

/// A claim, and what is known about its ticket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// It was claimed before.
    pub before: Option<Before>,
    /// It was dropped, or a newer boot script replaced it.
    pub void: bool,
    /// It expired.
    pub expired: bool,
    /// The claim comes from the address, and names the NIC, that the ticket was given to.
    pub from_holder: bool,
    /// A newer ticket of the machine was claimed.
    pub newer_claimed: bool,
}

/// How a ticket was claimed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// With another key.
    OtherKey,
    /// With the same key.
    SameKey {
        /// The certificate from that claim is still valid.
        certificate_good: bool,
    },
}

/// Decision about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Issue a certificate.
    Issue,
    /// Send the certificate of the first claim again, because its answer was lost.
    Repeat,
    /// Refuse.
    Refuse(Refusal),
}

/// Why a claim is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was claimed with another key: two hold one ticket.
    OtherKey,
    /// Its certificate is revoked.
    Revoked,
    /// A newer ticket was claimed while this one was still in use: two hold tickets of one machine.
    Replaced,
    /// Void or expired.
    Old,
    /// From another address or NIC than its own.
    Elsewhere,
}

impl Refusal {
    /// Stable short code of the answer.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::OtherKey | Refusal::Revoked => "ticket-used",
            Refusal::Replaced => "ticket-replaced",
            Refusal::Old => "ticket-expired",
            Refusal::Elsewhere => "ticket-address",
        }
    }

    /// Whether this shows that two impersonate one machine.
    pub fn is_alarm(self) -> bool {
        matches!(self, Refusal::OtherKey | Refusal::Replaced)
    }
}

/// Decides about a claim.
pub fn judge(claim: Claim) -> Ruling {
    match claim.before {
        Some(Before::OtherKey) => return Ruling::Refuse(Refusal::OtherKey),
        Some(Before::SameKey { certificate_good }) => {
            return match certificate_good {
                true => Ruling::Repeat,
                false => Ruling::Refuse(Refusal::Revoked),
            };
        }
        None => {}
    }
    // A machine fetches another script only when it boots again, and then nobody holds the older ticket any
    // more.
    if claim.void && claim.newer_claimed && claim.from_holder && !claim.expired {
        return Ruling::Refuse(Refusal::Replaced);
    }
    if claim.void || claim.expired {
        return Ruling::Refuse(Refusal::Old);
    }
    match claim.from_holder {
        true => Ruling::Issue,
        false => Ruling::Refuse(Refusal::Elsewhere),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_holder_of_a_current_ticket_gets_a_certificate() {
        use Refusal::{Elsewhere, Old, OtherKey, Replaced, Revoked};
        let good = Some(Before::SameKey {
            certificate_good: true,
        });
        let revoked = Some(Before::SameKey {
            certificate_good: false,
        });
        for (before, void, expired, from_holder, newer_claimed, expected) in [
            (None, false, false, true, false, Ruling::Issue),
            (None, false, false, false, false, Ruling::Refuse(Elsewhere)),
            (None, false, true, true, false, Ruling::Refuse(Old)),
            (None, false, true, false, false, Ruling::Refuse(Old)),
            (None, true, false, true, false, Ruling::Refuse(Old)),
            (None, true, false, true, true, Ruling::Refuse(Replaced)),
            // A stranger who was never given it, and one that is too late, are no alarm.
            (None, true, false, false, true, Ruling::Refuse(Old)),
            (None, true, true, true, true, Ruling::Refuse(Old)),
            (
                Some(Before::OtherKey),
                false,
                false,
                true,
                false,
                Ruling::Refuse(OtherKey),
            ),
            (
                Some(Before::OtherKey),
                true,
                true,
                false,
                true,
                Ruling::Refuse(OtherKey),
            ),
            (good, false, false, true, false, Ruling::Repeat),
            (good, true, true, false, true, Ruling::Repeat),
            (revoked, false, false, true, false, Ruling::Refuse(Revoked)),
        ] {
            let claim = Claim {
                before,
                void,
                expired,
                from_holder,
                newer_claimed,
            };
            assert_eq!(judge(claim), expected, "{claim:?}");
        }
        assert!(OtherKey.is_alarm() && Replaced.is_alarm());
        assert!(!Revoked.is_alarm() && !Old.is_alarm() && !Elsewhere.is_alarm());
    }
}
