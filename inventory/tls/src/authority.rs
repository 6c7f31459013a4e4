//! The certificate authority: created at first start, kept in the data directory, signs the server's own
//! certificate and those of machines.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use inventory_api::{MachineId, UnixMs};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SerialNumber,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

use super::SigningRequest;

/// Validity of the authority's own certificate.
const AUTHORITY_DAYS: i64 = 20 * 365;
/// Validity of the server certificate, renewed when less than half of it is left.
const SERVER_DAYS: i64 = 2 * 365;
/// Validity of a machine certificate. It cannot be renewed over the wire, and revocation is a look-up in the
/// store, so it lasts as long as a machine.
const MACHINE_DAYS: i64 = 10 * 365;
/// Certificates are valid from this long ago, because machine clocks may be wrong.
const BACKDATE: Duration = Duration::days(2);

/// Failure of the authority or of a certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Reading or writing a file failed.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file has unusable content.
    #[error(
        "{path} is not usable ({detail}); restore it from a backup, or remove the whole directory to start over: \
             every machine must then boot the mini-os again"
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// Making or loading a certificate failed.
    #[error("cannot make a certificate for {what}: {detail}")]
    Make {
        /// For whom.
        what: String,
        /// Why.
        detail: String,
    },
}

/// A certificate and its private key.
pub type CertificateAndKey = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A newly signed machine certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, PEM.
    pub pem: String,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// End of its validity.
    pub expires: UnixMs,
}

/// The certificate authority with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    /// Opens the authority in `directory`, or creates it if there is none.
    pub fn open(directory: &Path, now: UnixMs) -> Result<Authority, TlsError> {
        private_directory(directory)?;
        let key_path = directory.join("ca.key");
        let certificate_path = directory.join("ca.pem");
        let key = match read(&key_path)? {
            Some(pem) => KeyPair::from_pem(&pem).map_err(|e| content(&key_path, &e))?,
            None if certificate_path.exists() => {
                return Err(content(
                    &key_path,
                    &"the file is missing, but its certificate is there",
                ));
            }
            None => {
                let key =
                    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| make("the authority", &e))?;
                write_private(&key_path, key.serialize_pem().as_bytes())?;
                key
            }
        };
        let pem = match read(&certificate_path)? {
            Some(pem) => pem,
            None => {
                let pem = authority_params(now)?
                    .self_signed(&key)
                    .map_err(|e| make("the authority", &e))?
                    .pem();
                write_private(&certificate_path, pem.as_bytes())?;
                pem
            }
        };
        let certificate =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| content(&certificate_path, &e))?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(&certificate).map_err(|e| content(&certificate_path, &e))?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.der_bytes() {
            return Err(content(&certificate_path, &"it is not the certificate of ca.key"));
        }
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|e| content(&certificate_path, &e))?;
        Ok(Authority {
            issuer,
            certificate,
            pem,
        })
    }

    /// The authority's certificate as PEM, as machines get it in the site archive.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The server's certificate and key for `names` (IP addresses or DNS names), kept in `directory`. Made
    /// again when `names` change, when half of its validity is over, or when the authority is another one.
    pub fn server_certificate(
        &self,
        directory: &Path,
        names: &BTreeSet<String>,
        now: UnixMs,
    ) -> Result<CertificateAndKey, TlsError> {
        private_directory(directory)?;
        let path = directory.join("server.pem");
        if let Some(pem) = read(&path)? {
            // One file for certificate and key: a crash between two writes cannot separate them.
            let found = CertificateDer::from_pem_slice(pem.as_bytes()).ok();
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok();
            if let (Some(certificate), Some(key)) = (found, key)
                && self.still_good(&certificate, names, now)
            {
                return Ok((certificate, key));
            }
        }
        let failed = |e: rcgen::Error| make("the server", &e);
        let names = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>()).map_err(failed)?;
        let mut params = leaf(
            "Slipway server",
            ExtendedKeyUsagePurpose::ServerAuth,
            now,
            SERVER_DAYS,
        )?;
        params.subject_alt_names = names.subject_alt_names;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        write_private(
            &path,
            format!("{}{}", certificate.pem(), key.serialize_pem()).as_bytes(),
        )?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok((certificate.der().clone(), key))
    }

    fn still_good(&self, certificate: &CertificateDer<'_>, names: &BTreeSet<String>, now: UnixMs) -> bool {
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
            return false;
        };
        let Ok((_, authority)) = x509_parser::parse_x509_certificate(&self.certificate) else {
            return false;
        };
        let half_left = now.plus_seconds(SERVER_DAYS as u64 / 2 * 86_400).0 / 1000;
        parsed.verify_signature(Some(authority.public_key())).is_ok()
            && parsed.validity().not_after.timestamp() > half_left
            && parsed.validity().not_before.timestamp() <= now.0 / 1000
            && names_of(&parsed) == *names
    }

    /// Signs a machine certificate. Only the public key is taken from the signing request.
    pub fn sign_machine(
        &self,
        csr: &SigningRequest,
        machine: &MachineId,
        now: UnixMs,
    ) -> Result<Issued, TlsError> {
        let (usage, name) = (ExtendedKeyUsagePurpose::ClientAuth, machine.as_str());
        let mut params = leaf(name, usage, now, MACHINE_DAYS)?;
        params.is_ca = IsCa::ExplicitNoCa;
        let serial = fresh_serial();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate = params
            .signed_by(csr.public_key(), &self.issuer)
            .map_err(|e| make(name, &e))?;
        Ok(Issued {
            pem: certificate.pem(),
            serial: hex::encode(serial),
            expires: UnixMs(params.not_after.unix_timestamp() * 1000),
        })
    }
}

fn authority_params(now: UnixMs) -> Result<CertificateParams, TlsError> {
    let mut params = params("Slipway authority", now, AUTHORITY_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// For the certificate of a server or a client.
fn leaf(
    name: &str,
    usage: ExtendedKeyUsagePurpose,
    now: UnixMs,
    days: i64,
) -> Result<CertificateParams, TlsError> {
    let mut params = params(name, now, days)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// What every certificate has: name, serial number and validity.
fn params(name: &str, now: UnixMs, days: i64) -> Result<CertificateParams, TlsError> {
    let now = OffsetDateTime::from_unix_timestamp(now.0 / 1000).map_err(|e| make("the present time", &e))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.serial_number = Some(SerialNumber::from_slice(&fresh_serial()));
    params.not_before = now - BACKDATE;
    params.not_after = now + Duration::days(days);
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// 128 random bits, except the first two: 0, since a serial number is positive, and 1, so that no leading
/// zero byte is cut.
fn fresh_serial() -> [u8; 16] {
    let mut serial: [u8; 16] = rand::random();
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

fn names_of(certificate: &x509_parser::certificate::X509Certificate<'_>) -> BTreeSet<String> {
    use x509_parser::extensions::GeneralName;
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return BTreeSet::new();
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            ip.ok().map(|ip| ip.to_string())
        }
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn private_directory(path: &Path) -> Result<(), TlsError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(file("make the directory", path))
}

fn read(path: &Path) -> Result<Option<String>, TlsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(file("read", path)(e)),
    }
}

/// Writes a file of mode 0600. After a power cut it has the old or the new content, never half of it.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), TlsError> {
    let draft = path.with_extension("new");
    let write = || {
        match fs::remove_file(&draft) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        match path.parent() {
            Some(directory) => fs::File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(file("write", path))
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::File { what, path, source }
}

fn content(path: &Path, detail: &dyn std::fmt::Display) -> TlsError {
    TlsError::Content {
        path: path.to_owned(),
        detail: detail.to_string(),
    }
}

pub(super) fn make(what: &str, detail: &dyn std::fmt::Display) -> TlsError {
    TlsError::Make {
        what: what.to_owned(),
        detail: detail.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: UnixMs = UnixMs(1_795_000_000_000);

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn the_authority_survives_a_restart_and_its_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::open(dir.path(), NOW).unwrap();
        let again = Authority::open(dir.path(), NOW).unwrap();
        assert_eq!(first.pem(), again.pem());
        let mode = fs::metadata(dir.path().join("ca.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_file(dir.path().join("ca.key")).unwrap();
        let error = Authority::open(dir.path(), NOW).err().unwrap().to_string();
        assert!(error.contains("ca.key"), "{error}");
    }

    #[test]
    fn the_server_certificate_is_renewed_when_names_change_or_time_passes() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), NOW).unwrap();
        let two = names(&["127.0.0.1", "localhost"]);
        let three = names(&["127.0.0.1", "10.0.0.1", "localhost"]);
        let (a, _) = authority.server_certificate(dir.path(), &two, NOW).unwrap();
        let (b, _) = authority.server_certificate(dir.path(), &two, NOW).unwrap();
        assert_eq!(a, b);
        let (c, _) = authority.server_certificate(dir.path(), &three, NOW).unwrap();
        assert_ne!(b, c);
        let later = NOW.plus_seconds(400 * 86_400);
        let (d, _) = authority.server_certificate(dir.path(), &three, later).unwrap();
        assert_ne!(c, d);
        let other = tempfile::tempdir().unwrap();
        let stranger = Authority::open(other.path(), NOW).unwrap();
        let (e, _) = stranger.server_certificate(dir.path(), &three, later).unwrap();
        assert_ne!(d, e);
    }

    #[test]
    fn of_a_signing_request_only_the_key_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), NOW).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut wish = CertificateParams::new(vec!["slipway.example".to_owned()]).unwrap();
        wish.distinguished_name = common_name("m-ffffffffffff");
        wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        wish.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let pem = wish.serialize_request(&key).unwrap().pem().unwrap();
        let request = SigningRequest::from_pem(&pem).unwrap();
        let issued = authority
            .sign_machine(&request, &"m-000000000001".parse().unwrap(), NOW)
            .unwrap();

        let der = CertificateDer::from_pem_slice(issued.pem.as_bytes()).unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=m-000000000001");
        assert!(!certificate.is_ca());
        assert!(names_of(&certificate).is_empty());
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth);
        assert_eq!(hex::encode(certificate.raw_serial()), issued.serial);
        assert_eq!(
            certificate.public_key().subject_public_key.data.as_ref(),
            key.der_bytes()
        );
    }
}
