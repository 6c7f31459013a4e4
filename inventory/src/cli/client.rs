//! The API's client: TLS to a server whose certificate authority is ours, problems as errors, bounded answers.

use std::time::Duration;

use futures::StreamExt as _;
use inventory_api::Problem;
use reqwest::{Certificate, Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CliEnv, CliError, Common};
use inventory_api::causes::with_causes;

/// No answer of the API is larger.
const MAX_ANSWER: usize = 64 << 20;

/// A connection to one server.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
}

impl Client {
    /// Options win over the environment.
    pub(crate) fn new(common: &Common, env: CliEnv) -> Result<Client, CliError> {
        let url = common.url.clone().or(env.url).ok_or_else(|| {
            CliError::usage("which server? Give --url https://HOST:8443 or set SLIPWAY_URL")
        })?;
        let base = Url::parse(&url)
            .map_err(|e| CliError::usage(format!("the server address {url:?} is wrong: {e}")))?;
        // A token never leaves without TLS.
        if base.scheme() != "https" || base.host_str().is_none() {
            return Err(CliError::usage(format!(
                "the server address {url:?} must be https://HOST:PORT"
            )));
        }
        let token = env
            .token
            .map(|t| t.trim().to_owned())
            .filter(|t| !t.is_empty())
            .ok_or_else(|| CliError::usage("no API token: set SLIPWAY_TOKEN (it is not taken from the command line, where others could read it)"))?;
        // One provider in the process; a second call is harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120))
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true);
        if let Some(ca) = common.ca.clone().or(env.ca) {
            let wrong = |e: &dyn std::fmt::Display| {
                CliError::usage(format!(
                    "the certificate authority {} cannot be used: {e}",
                    ca.display()
                ))
            };
            let pem = std::fs::read(&ca).map_err(|e| wrong(&e))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| wrong(&e))?;
            if certificates.is_empty() {
                return Err(wrong(&"it has no certificate"));
            }
            builder = builder.tls_certs_only(certificates);
        }
        let http = builder
            .build()
            .map_err(|e| CliError::failed(format!("TLS cannot be set up: {}", with_causes(&e))))?;
        Ok(Client { http, base, token })
    }

    /// `GET path`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.send(Method::GET, path, None::<&()>).await
    }

    /// `POST path` with a JSON body, or none.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, CliError> {
        self.send(Method::POST, path, body).await
    }

    /// `PUT path` with a JSON body.
    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CliError> {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// `DELETE path`.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.send(Method::DELETE, path, None::<&()>).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, CliError> {
        let (mut request, url) = self.request(&method, path)?;
        if let Some(body) = body {
            request = request.json(body);
        }
        let bytes = answered(&method, &url, request).await?;
        understood(&method, &url, &bytes)
    }

    /// `POST path` with a file.
    pub(crate) async fn post_file<T: DeserializeOwned>(
        &self,
        path: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<T, CliError> {
        let (request, url) = self.request(&Method::POST, path)?;
        let request = request
            .header(reqwest::header::CONTENT_TYPE, media_type)
            .body(bytes);
        let bytes = answered(&Method::POST, &url, request).await?;
        understood(&Method::POST, &url, &bytes)
    }

    /// `GET path`, whose answer is a text.
    pub(crate) async fn get_text(&self, path: &str) -> Result<String, CliError> {
        let (request, url) = self.request(&Method::GET, path)?;
        let bytes = answered(&Method::GET, &url, request).await?;
        String::from_utf8(bytes)
            .map_err(|_| CliError::failed(format!("{url} answered with something that is no text")))
    }

    fn request(&self, method: &Method, path: &str) -> Result<(reqwest::RequestBuilder, Url), CliError> {
        let url = self
            .base
            .join(path)
            .map_err(|e| CliError::usage(format!("{path:?} is no path: {e}")))?;
        let request = self
            .http
            .request(method.clone(), url.clone())
            .bearer_auth(&self.token);
        Ok((request, url))
    }
}

/// The bytes of an answer, or its problem.
async fn answered(method: &Method, url: &Url, request: reqwest::RequestBuilder) -> Result<Vec<u8>, CliError> {
    let failed = |e: reqwest::Error| CliError::failed(unreachable(url, &e));
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(failed)?;
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(CliError::failed(format!(
                "the answer of {url} is larger than {MAX_ANSWER} bytes"
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(bytes);
    }
    Err(match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => CliError::Refused(problem),
        Err(_) => CliError::failed(format!(
            "{method} {url} answered {status}: is that a Slipway server?"
        )),
    })
}

fn understood<T: DeserializeOwned>(method: &Method, url: &Url, bytes: &[u8]) -> Result<T, CliError> {
    serde_json::from_slice(bytes).map_err(|e| {
        CliError::failed(format!(
            "{method} {url} answered with something this slipway does not understand ({e}): is it the same version as the server?"
        ))
    })
}

/// What to look at when no answer came.
fn unreachable(url: &Url, error: &reqwest::Error) -> String {
    // reqwest hides the cause that matters at the bottom.
    let why = with_causes(error);
    let hint = if why.contains("UnknownIssuer") || why.contains("invalid peer certificate") {
        "give the server's certificate authority with --ca FILE or SLIPWAY_CA (DATA_DIR/ca/ca.pem on the server)"
    } else if error.is_connect() {
        "is the server running, and is the address right?"
    } else if error.is_timeout() {
        "it took too long: look at the server's log"
    } else {
        "look at the server's log"
    };
    let server = url.origin().ascii_serialization();
    format!("no answer from {server}: {why}\n  {hint}")
}
