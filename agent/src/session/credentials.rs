//! Key, signing request, TLS.

use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A fresh key and its signing request.
pub struct Key {
    /// Private key, PKCS#8 PEM.
    pub key_pem: String,
    /// PKCS#10 signing request, PEM. Its names are ignored: the server chooses them.
    pub csr_pem: String,
}

/// Makes an ECDSA P-256 key.
pub fn make_key() -> Result<Key, String> {
    let failed = |e: rcgen::Error| format!("making a key: {e}");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = &mut params.distinguished_name;
    name.push(rcgen::DnType::CommonName, "slipway machine");
    let csr_pem = params
        .serialize_request(&key)
        .and_then(|request| request.pem())
        .map_err(failed)?;
    Ok(Key {
        key_pem: key.serialize_pem(),
        csr_pem,
    })
}

/// A nonce of 32 random hexadecimal digits.
pub fn nonce() -> Result<String, String> {
    let mut bytes = [0u8; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| "the kernel returned no random bytes".to_owned())?;
    Ok(hex::encode(bytes))
}

/// A random number to spread pauses; its quality does not matter.
pub fn random_u32() -> u32 {
    let mut bytes = [0u8; 4];
    // Without randomness, pauses are not shortened.
    let _ = SystemRandom::new().fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

/// TLS that trusts only `ca_pem`, using ring, with the machine's certificate if there is one. There is no
/// platform verifier in an initramfs.
pub fn tls(ca_pem: &str, credentials: Option<(&str, &str)>) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|e| format!("the CA certificate cannot be read: {e:?}"))?;
        let added = roots.add(certificate);
        added.map_err(|e| format!("the CA certificate cannot be used: {e}"))?;
    }
    if roots.is_empty() {
        return Err("there is no CA certificate in the CA file".into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS: {e}"))?
        .with_root_certificates(roots);
    let Some((cert_pem, key_pem)) = credentials else {
        return Ok(builder.with_no_client_auth());
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert_pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| format!("the machine certificate cannot be read: {e:?}"))?;
    // The parser's error message could contain the key.
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|_| "the machine's private key cannot be read".to_owned())?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|e| format!("the machine certificate cannot be used: {e}"))
}
