//! The signing requests of machines.

use rcgen::{CertificateSigningRequestParams, PublicKeyData as _};
use sha2::{Digest as _, Sha256};

/// Longest signing request. One with a P-256 key has about 500 bytes.
const MAX_CSR_BYTES: usize = 8 * 1024;

/// Why a signing request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// More than 8 KiB.
    #[error("the signing request has more than {MAX_CSR_BYTES} bytes")]
    TooLong,
    /// Not a PEM PKCS#10 request, or its own signature is wrong.
    #[error("the signing request cannot be used: {0}")]
    Unusable(String),
    /// A key type that is not accepted.
    #[error("the key of the signing request is neither ECDSA P-256 nor Ed25519")]
    KeyType,
}

/// A PKCS#10 request with a valid signature, which proves that the sender has the key.
pub struct SigningRequest {
    public_key: rcgen::PublicKey,
}

impl SigningRequest {
    /// Parses a PEM request.
    pub fn from_pem(pem: &str) -> Result<SigningRequest, CsrError> {
        if pem.len() > MAX_CSR_BYTES {
            return Err(CsrError::TooLong);
        }
        let request =
            CertificateSigningRequestParams::from_pem(pem).map_err(|e| CsrError::Unusable(e.to_string()))?;
        if !is_accepted_key(&request.public_key) {
            return Err(CsrError::KeyType);
        }
        Ok(SigningRequest {
            public_key: request.public_key,
        })
    }

    pub(super) fn public_key(&self) -> &rcgen::PublicKey {
        &self.public_key
    }

    /// SHA-256 of the public key: equal for requests of the same agent.
    pub fn key_digest(&self) -> [u8; 32] {
        Sha256::digest(self.public_key.der_bytes()).into()
    }
}

/// Whether the key is P-256 or Ed25519. This looks at the key itself, because rcgen takes the algorithm from
/// the request's signature, and keys of other curves also sign with ECDSA and SHA-256.
fn is_accepted_key(key: &rcgen::PublicKey) -> bool {
    use x509_parser::prelude::FromDer as _;
    /// RFC 5480, sections 2.1.1 and 2.1.1.1; RFC 8410, section 3.
    const EC: &str = "1.2.840.10045.2.1";
    const P256: &str = "1.2.840.10045.3.1.7";
    const ED25519: &str = "1.3.101.112";
    let der = key.subject_public_key_info();
    let Ok((rest, info)) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&der) else {
        return false;
    };
    let curve = info.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
    let point = info.subject_public_key.data.as_ref();
    rest.is_empty()
        && match info.algorithm.algorithm.to_id_string().as_str() {
            EC => curve.is_some_and(|c| c.to_id_string() == P256) && point.len() == 65 && point[0] == 4,
            ED25519 => info.algorithm.parameters.is_none() && point.len() == 32,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use rustls_pki_types::pem::PemObject as _;

    #[test]
    fn a_request_signed_with_another_key_is_refused() {
        let pem = CertificateParams::default()
            .serialize_request(&KeyPair::generate().unwrap())
            .unwrap()
            .pem()
            .unwrap();
        let mut der = rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .unwrap()
            .to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        let broken = rcgen::CertificateSigningRequestParams::from_der(&der.into());
        assert!(broken.is_err());
        assert!(matches!(
            SigningRequest::from_pem("nonsense"),
            Err(CsrError::Unusable(_))
        ));
        assert_eq!(
            SigningRequest::from_pem(&"x".repeat(10_000)).err(),
            Some(CsrError::TooLong)
        );
    }
}
