//! A client of the API as people use it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use inventory_api::machine::{HistoryEntry, Journey, MachineDetail, MachineSummary};
use inventory_api::page::Page;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wait;

/// A signed-in client.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    /// A client that trusts this CA and nothing else.
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn new(base: &str, ca_pem: &[u8], token: &str) -> Result<Api> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(ca_pem)?])
            .timeout(Duration::from_secs(30))
            // A redirect answer is looked at: it carries the cookie of a sign-in.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Api {
            http,
            base: base.to_owned(),
            token: token.to_owned(),
        })
    }

    /// As [`Api::new`], with the CA's file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn with_ca_file(base: &str, ca: &Path, token: &str) -> Result<Api> {
        let pem = std::fs::read(ca).with_context(|| format!("reading {}", ca.display()))?;
        Api::new(base, &pem, token)
    }

    /// `GET path`.
    ///
    /// # Errors
    /// No answer, or a problem.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.answer(self.http.get(format!("{}{path}", self.base))).await
    }

    /// All items of a list, page after page.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut page: Page<T> = self.get(path).await?;
        let mut items = page.items;
        while let Some(token) = page.next_page {
            page = self.get(&format!("{path}?page_token={token}")).await?;
            items.append(&mut page.items);
        }
        Ok(items)
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// No answer, or a problem.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.answer(self.http.post(format!("{}{path}", self.base)).json(body))
            .await
    }

    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T> {
        let response = request.bearer_auth(&self.token).send().await?;
        let (status, url) = (response.status(), response.url().clone());
        let text = response.text().await?;
        if !status.is_success() {
            bail!("{url}: {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("{url}: {text}"))
    }

    /// A page as a signed-in person gets it.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn page(&self, path: &str) -> Result<String> {
        let signed_in = self
            .http
            .post(format!("{}/sign-in", self.base))
            .header("origin", &self.base)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={}", self.token))
            .send()
            .await?;
        let cookie = signed_in
            .headers()
            .get("set-cookie")
            .and_then(|c| c.to_str().ok());
        let Some(cookie) = cookie.and_then(|c| c.split(';').next()) else {
            bail!("signing in: {}, no cookie", signed_in.status());
        };
        let request = self
            .http
            .get(format!("{}{path}", self.base))
            .header("cookie", cookie);
        let response = request.send().await?;
        let (status, text) = (response.status(), response.text().await?);
        if !status.is_success() {
            bail!("{path}: {status}: {text}");
        }
        Ok(text)
    }

    /// All machines.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn machines(&self) -> Result<Vec<MachineSummary>> {
        self.list("/v1/machines").await
    }

    /// One machine, by id, MAC or serial number.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn machine(&self, key: &str) -> Result<MachineDetail> {
        self.get(&format!("/v1/machines/{key}")).await
    }

    /// Its history.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn history(&self, key: &str) -> Result<Vec<HistoryEntry>> {
        let path = format!("/v1/machines/{key}/history?limit=200");
        let page: Page<HistoryEntry> = self.get(&path).await?;
        Ok(page.items)
    }

    /// What was heard from a MAC.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub async fn journey(&self, mac: &str) -> Result<Journey> {
        self.get(&format!("/v1/journey/{mac}")).await
    }

    /// Waits until the machine is in `state`; a server that does not answer is waited for too.
    ///
    /// # Errors
    /// The deadline passed, or it came to rest somewhere else: with its history.
    pub async fn wait_state(&self, key: &str, state: &str, within: Duration) -> Result<MachineDetail> {
        let what = format!("machine {key} to be {state}");
        let waited = wait::until(&what, within, async || {
            let Ok(detail) = self.machine(key).await else {
                return Ok(None);
            };
            let now = &detail.machine.status;
            if now.state.as_str() == state {
                return Ok(Some(detail));
            }
            if ["failed", "quarantined"].contains(&now.state.as_str()) {
                bail!("waiting for {what}: it is {}: {}", now.state, now.sentence);
            }
            Ok(None)
        })
        .await;
        match waited {
            Ok(detail) => Ok(detail),
            Err(error) => Err(error.context(self.story(key).await)),
        }
    }

    /// Waits until the machine is failed, quarantined or deployed.
    ///
    /// # Errors
    /// The deadline passed: with its history.
    pub async fn wait_rest(&self, key: &str, within: Duration) -> Result<MachineDetail> {
        let waited = wait::until(&format!("machine {key} to come to rest"), within, async || {
            let Ok(detail) = self.machine(key).await else {
                return Ok(None);
            };
            let rest = ["failed", "quarantined", "deployed"].contains(&detail.machine.status.state.as_str());
            Ok(rest.then_some(detail))
        })
        .await;
        match waited {
            Ok(detail) => Ok(detail),
            Err(error) => Err(error.context(self.story(key).await)),
        }
    }

    /// State and history as text, for the message of a failed test.
    pub async fn story(&self, key: &str) -> String {
        let mut text = match self.machine(key).await {
            Ok(detail) => format!("{:#?}\n", detail.machine.status),
            Err(error) => format!("no machine {key}: {error:#}\n"),
        };
        for entry in self.history(key).await.unwrap_or_default() {
            text.push_str(&format!(
                "{:>4} {:<10} {:<26} {:<28} {}\n",
                entry.seq, entry.actor, entry.event, entry.state, entry.sentence
            ));
        }
        text
    }
}
