//! The agents' API by hand, for tests that break its rules.

use anyhow::Result;
use inventory_api::agent::{ClaimRequest, ClaimResponse, ReportRequest, RunsOn};
use inventory_api::boot::BootArgs;
use inventory_api::report::AssetReport;
use reqwest::StatusCode;
use serde_json::Value;

/// A client of the TLS port with its own key.
pub struct Raw {
    http: reqwest::Client,
    base: String,
    ca_pem: String,
    key: rcgen::KeyPair,
}

impl Raw {
    /// A client without a certificate.
    pub fn new(base: &str, ca_pem: &str) -> Result<Raw> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = client(ca_pem)?.build()?;
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        Ok(Raw {
            http,
            base: base.to_owned(),
            ca_pem: ca_pem.to_owned(),
            key,
        })
    }

    /// Claims with this client's key, and uses the certificate if it gets one.
    pub async fn claim(&mut self, args: &BootArgs) -> Result<(StatusCode, Value)> {
        let csr_pem = rcgen::CertificateParams::default()
            .serialize_request(&self.key)?
            .pem()?;
        let request = ClaimRequest {
            ticket: args.ticket.clone(),
            csr_pem,
            boot_mac: args.mac,
            agent_version: "raw".to_owned(),
        };
        let (status, answer) = self
            .post("/agent/v1/claim", &serde_json::to_value(request)?)
            .await?;
        if let Ok(claimed) = serde_json::from_value::<ClaimResponse>(answer.clone()) {
            let pem = format!("{}{}", claimed.certificate_pem, self.key.serialize_pem());
            let identity = reqwest::Identity::from_pem(pem.as_bytes())?;
            self.http = client(&self.ca_pem)?.identity(identity).build()?;
        }
        Ok((status, answer))
    }

    /// A report that contains only `serial`.
    pub async fn report(&self, nonce: &str, report: AssetReport) -> Result<(StatusCode, Value)> {
        let request = ReportRequest {
            nonce: nonce.to_owned(),
            runs_on: RunsOn::MiniOs,
            report: Box::new(report),
        };
        self.post("/agent/v1/report", &serde_json::to_value(request)?)
            .await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        self.post_bytes(path, body.to_string().into_bytes()).await
    }

    /// `POST` with arbitrary bytes.
    pub async fn post_bytes(&self, path: &str, body: Vec<u8>) -> Result<(StatusCode, Value)> {
        let request = self.http.post(format!("{}{path}", self.base));
        let response = request
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await?;
        let status = response.status();
        Ok((status, response.json().await.unwrap_or(Value::Null)))
    }

    pub async fn get(&self, path: &str) -> Result<(StatusCode, Value)> {
        let response = self.http.get(format!("{}{path}", self.base)).send().await?;
        let status = response.status();
        Ok((status, response.json().await.unwrap_or(Value::Null)))
    }
}

fn client(ca_pem: &str) -> Result<reqwest::ClientBuilder> {
    Ok(reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(ca_pem.as_bytes())?])
        .timeout(std::time::Duration::from_secs(20)))
}
