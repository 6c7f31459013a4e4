//! A client of the API as people use it.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use inventory_api::import::ImportReport;
use inventory_api::machine::{HistoryEntry, Journey, MachineDetail};
use inventory_api::page::PageQuery;
use inventory_api::routes::{self, Older, Raw, Route};
use inventory_client::{Client, Server};
use serde::Serialize;

use crate::wait;

/// A signed-in client.
#[derive(Clone)]
pub struct Api {
    client: Client,
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Deref for Api {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Api {
    /// A client that trusts the CA in this file and nothing else.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn new(base: &str, ca: &Path, token: &str) -> Result<Api> {
        let client = Client::new(Server {
            url: Some(base.to_owned()),
            token: Some(token.to_owned()),
            ca: Some(ca.to_owned()),
        })?;
        let pem = std::fs::read(ca).with_context(|| format!("reading {}", ca.display()))?;
        let http = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&pem)?])
            .timeout(Duration::from_secs(30))
            // A redirect answer is looked at: it carries the cookie of a sign-in.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Api {
            client,
            http,
            base: base.to_owned(),
            token: token.to_owned(),
        })
    }

    /// Imports entries as a JSON file.
    ///
    /// # Errors
    /// No answer, or a problem.
    pub async fn import_json(
        &self,
        route: Route<0, Raw, ImportReport>,
        entries: &impl Serialize,
    ) -> Result<ImportReport> {
        Ok(self
            .import(route, "application/json", serde_json::to_vec(entries)?)
            .await?)
    }

    /// Status and body of the answer to any JSON.
    ///
    /// # Errors
    /// No answer.
    pub async fn post_raw(&self, path: &str, body: &impl Serialize) -> Result<(u16, String)> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        let response = request.bearer_auth(&self.token).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
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

    /// The newest rows of a machine's history.
    ///
    /// # Errors
    /// No answer, or a problem.
    pub async fn history(&self, key: &str) -> Result<Vec<HistoryEntry>> {
        let newest = PageQuery {
            limit: Some(200),
            page_token: None,
        };
        let all = Older::default();
        Ok(self.page_of(&routes::HISTORY, [key], &all, &newest).await?.items)
    }

    /// What was heard from a MAC.
    ///
    /// # Errors
    /// No answer, or a problem.
    pub async fn journey(&self, mac: &str) -> Result<Journey> {
        Ok(self.ask(routes::JOURNEY, [mac]).await?)
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
