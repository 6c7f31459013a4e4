//! A public key as DER SubjectPublicKeyInfo (RFC 5280). Its SHA-256 equals `openssl pkey -pubin -outform der
//! | sha256sum`, so it can be compared with the maker's certificate.

use ring::digest::{SHA256, digest};

/// rsaEncryption with NULL parameters; id-ecPublicKey with prime256v1.
const RSA: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
const P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07,
];

/// Hex of the SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

/// Of an RSA key.
pub(super) fn rsa(modulus: &[u8], exponent: u32) -> Vec<u8> {
    let key = tagged(
        0x30,
        &[integer(modulus), integer(&exponent.to_be_bytes())].concat(),
    );
    tagged(0x30, &[RSA, &bit_string(&key)].concat())
}

/// Of a P-256 key; both coordinates have 32 bytes.
pub(super) fn p256(x: &[u8], y: &[u8]) -> Vec<u8> {
    tagged(0x30, &[P256, &bit_string(&[&[4], x, y].concat())].concat())
}

fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tagged(0x03, &[&[0], bytes].concat())
}

/// A positive integer: without leading zeros, except one before a high bit.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes
        .iter()
        .position(|b| *b != 0)
        .unwrap_or(bytes.len().saturating_sub(1));
    let bytes = &bytes[start..];
    let sign: &[u8] = if bytes.first().is_some_and(|b| b & 0x80 != 0) {
        &[0]
    } else {
        &[]
    };
    tagged(0x02, &[sign, bytes].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(content);
    out
}

/// The key in TPM 1.2's `pubek` file: "Modulus:" and 256 bytes in hex, 16 per line; the exponent is 65537.
pub(super) fn of_pubek(text: &str) -> Option<Vec<u8>> {
    let (_, modulus) = text.split_once("Modulus:")?;
    let bytes: Vec<u8> = modulus
        .split_whitespace()
        .map_while(|byte| (byte.len() == 2).then(|| u8::from_str_radix(byte, 16).ok())?)
        .take(257)
        .collect();
    (bytes.len() == 256 && bytes.iter().any(|b| *b != 0)).then(|| rsa(&bytes, 65537))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_as_openssl_writes_it() {
        // openssl ecparam -name prime256v1 -genkey ... -pubout -outform der: 26 bytes before the point's 65.
        let der = p256(&[1; 32], &[2; 32]);
        assert_eq!(
            hex::encode(&der[..27]),
            "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
        );
        assert_eq!(der.len(), 91);
        // A 2048-bit RSA key whose modulus has its high bit set: 294 bytes in all.
        let der = rsa(&[0xc0; 256], 65537);
        assert_eq!(
            hex::encode(&der[..33]),
            "30820122300d06092a864886f70d01010105000382010f003082010a0282010100"
        );
        assert_eq!(
            (der.len(), hex::encode(&der[289..])),
            (294, "0203010001".to_owned())
        );
    }

    #[test]
    fn the_key_of_a_tpm_1_2() {
        let line = "C0 ".repeat(16);
        let text = format!(
            "Algorithm: 00 00 00 01\nEncscheme: 00 03\nSigscheme: 00 01\nParameters: 00 00 08 00 00 00 00 02 00 00 00 00\n\
             Modulus length: 256\nModulus:\n{}",
            format!("{line}\n").repeat(16)
        );
        assert_eq!(of_pubek(&text), Some(rsa(&[0xc0; 256], 65537)));
        assert_eq!(of_pubek("Modulus:\nC0 C0\n"), None);
    }
}
