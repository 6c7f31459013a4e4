//! TLS handshakes that fail because of a certificate. A machine with a wrong clock, or one that knows another
//! authority, retries forever and never gets as far as HTTP. [`BrokenTls`] gives the reason, for the log and
//! `slipway explain`; [`BrokenHandshakes`] limits the log lines.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use inventory_api::UnixMs;
use rustls::{AlertDescription, CertificateError};

/// Addresses kept; the one heard longest ago is evicted first.
const ADDRESSES: usize = 1024;
/// Time before the same address is logged again for the same reason, in ms.
const AGAIN_MS: u64 = 600_000;
/// Time between any two log lines, in ms.
const BETWEEN_MS: u64 = 10_000;

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenTls {
    /// The peer says that our certificate is not valid now: its clock is wrong, or ours was when the
    /// certificate was made.
    ItsClock,
    /// The peer does not trust our certificate: it does not know our authority, or is a browser without
    /// `ca.pem`.
    ItsAuthority,
    /// The peer's certificate is not valid now.
    ItsCertificateDates,
    /// The peer's certificate is invalid for another reason, normally because another authority signed it.
    ItsCertificateAuthority,
}

impl BrokenTls {
    /// The meaning of a handshake error. `None`: it has nothing to do with certificates (a port scan, a lost
    /// connection).
    pub fn of(error: &io::Error) -> Option<BrokenTls> {
        match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => Some(BrokenTls::ItsClock),
            rustls::Error::AlertReceived(
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::DecryptError,
            ) => Some(BrokenTls::ItsAuthority),
            rustls::Error::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => Some(BrokenTls::ItsCertificateDates),
            rustls::Error::InvalidCertificate(_) => Some(BrokenTls::ItsCertificateAuthority),
            _ => None,
        }
    }
}

/// Completes the sentence "the agent at ADDRESS ...".
impl fmt::Display for BrokenTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BrokenTls::ItsClock => {
                "breaks off TLS: by its clock this server's certificate is not valid. Its clock is wrong (a dead battery): set it, or \
                 deploy the machine again; if it is right, this server's clock was wrong when it made DATA_DIR/tls"
            }
            BrokenTls::ItsAuthority => {
                "breaks off TLS: it does not know our authority. It was installed by another Slipway server, or DATA_DIR/ca was \
                 replaced: deploy it again. A browser or client without ca.pem does the same"
            }
            BrokenTls::ItsCertificateDates => {
                "is refused: its machine certificate is not valid now. It has expired, or this server's clock is wrong; deploy it again"
            }
            BrokenTls::ItsCertificateAuthority => {
                "is refused: another authority signed its machine certificate. It was installed by another Slipway server, or \
                 DATA_DIR/ca was replaced: deploy it again"
            }
        })
    }
}

/// The last failed handshake of each address.
#[derive(Debug, Default)]
pub struct BrokenHandshakes(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_address: HashMap<IpAddr, One>,
    logged_at: Option<UnixMs>,
}

#[derive(Debug)]
struct One {
    at: UnixMs,
    why: BrokenTls,
    logged_at: Option<UnixMs>,
}

impl BrokenHandshakes {
    /// Keeps a failed handshake. True: log it, at most once in ten seconds, and for one address once in ten
    /// minutes unless the reason changes.
    pub fn note(&self, address: IpAddr, why: BrokenTls, now: UnixMs) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept {
            by_address,
            logged_at,
        } = &mut *kept;
        if by_address.len() >= ADDRESSES && !by_address.contains_key(&address) {
            let oldest = by_address.iter().min_by_key(|(_, one)| one.at);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                by_address.remove(&oldest);
            }
        }
        let one = by_address.entry(address).or_insert(One {
            at: now,
            why,
            logged_at: None,
        });
        let other = one.why != why;
        (one.at, one.why) = (now, why);
        let over = |said: Option<UnixMs>, pause| said.is_none_or(|said| now.since(said) >= pause);
        let log = over(*logged_at, BETWEEN_MS) && (other || over(one.logged_at, AGAIN_MS));
        if log {
            (*logged_at, one.logged_at) = (Some(now), Some(now));
        }
        log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_means() {
        let of = |error: rustls::Error| BrokenTls::of(&io::Error::new(io::ErrorKind::InvalidData, error));
        let alert = |alert| of(rustls::Error::AlertReceived(alert));
        let certificate = |error| of(rustls::Error::InvalidCertificate(error));
        assert_eq!(
            alert(AlertDescription::CertificateExpired),
            Some(BrokenTls::ItsClock)
        );
        assert_eq!(alert(AlertDescription::UnknownCA), Some(BrokenTls::ItsAuthority));
        assert_eq!(alert(AlertDescription::CloseNotify), None);
        assert_eq!(
            certificate(CertificateError::NotValidYet),
            Some(BrokenTls::ItsCertificateDates)
        );
        assert_eq!(
            certificate(CertificateError::UnknownIssuer),
            Some(BrokenTls::ItsCertificateAuthority)
        );
        assert_eq!(
            BrokenTls::of(&io::Error::from(io::ErrorKind::UnexpectedEof)),
            None
        );
    }

    /// Clock of a client: in 2010, in 2040, or correct.
    #[derive(Debug)]
    struct At(u64);

    impl rustls::time_provider::TimeProvider for At {
        fn current_time(&self) -> Option<rustls_pki_types::UnixTime> {
            Some(rustls_pki_types::UnixTime::since_unix_epoch(
                std::time::Duration::from_secs(self.0),
            ))
        }
    }

    #[tokio::test]
    async fn a_client_with_a_wrong_clock_and_one_of_another_authority() {
        use crate::{Authority, ServerCertificate, server_config};
        let dir = tempfile::tempdir().unwrap();
        let now = crate::now();
        let authority = Authority::open(&dir.path().join("ca"), now).unwrap();
        let other = Authority::open(&dir.path().join("other"), now).unwrap();
        let names = std::collections::BTreeSet::from(["localhost".to_owned()]);
        let pair = authority.server_certificate(&dir.path().join("tls"), &names, now);
        let certificate = std::sync::Arc::new(ServerCertificate::new(pair.unwrap()).unwrap());
        let config = server_config(authority.certificate(), certificate).unwrap();
        let seconds = now.0 as u64 / 1000;
        for (at, trusted, expected) in [
            (1_262_304_000, &authority, Some(BrokenTls::ItsClock)),
            (2_208_988_800, &authority, Some(BrokenTls::ItsClock)),
            (seconds, &other, Some(BrokenTls::ItsAuthority)),
            (seconds, &authority, None),
        ] {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(trusted.certificate().clone()).unwrap();
            let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
            let client = rustls::ClientConfig::builder_with_details(provider, std::sync::Arc::new(At(at)))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let (near, far) = tokio::io::duplex(1 << 16);
            let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client));
            let (_, accepted) = tokio::join!(
                connector.connect("localhost".try_into().unwrap(), near),
                tokio_rustls::TlsAcceptor::from(config.clone()).accept(far),
            );
            assert_eq!(accepted.err().as_ref().and_then(BrokenTls::of), expected, "{at}");
        }
    }

    #[test]
    fn an_address_is_logged_once_in_ten_minutes_and_a_flood_of_them_slowly() {
        let kept = BrokenHandshakes::default();
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        let why = BrokenTls::ItsClock;
        assert!(kept.note(address(1), why, UnixMs(0)));
        assert!(!kept.note(address(1), why, UnixMs(15_000)));
        assert!(kept.note(address(1), BrokenTls::ItsAuthority, UnixMs(30_000)));
        assert!(kept.note(address(1), BrokenTls::ItsAuthority, UnixMs(700_000)));
        let lines = (2..5000)
            .filter(|n| kept.note(address(*n), why, UnixMs(710_000 + i64::from(*n))))
            .count();
        assert_eq!(lines, 1);
        let kept = kept.0.lock().unwrap();
        assert_eq!(kept.by_address.len(), ADDRESSES);
        assert!(!kept.by_address.contains_key(&address(1)) && kept.by_address.contains_key(&address(4999)));
    }
}
