//! Client of the API: TLS only, problems as errors, answers of limited size.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use inventory_api::Problem;
use inventory_api::page::{Page, PageQuery};
use inventory_api::text::with_causes;
use reqwest::{Certificate, Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest answer accepted, bytes.
const MAX_ANSWER: usize = 64 << 20;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address, the path, the token or the certificate authority is unusable: nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// The server answered with a problem.
    #[error(transparent)]
    Refused(Problem),
    /// No answer came, or one that cannot be read. Says what was tried and what to do.
    #[error("{0}")]
    Failed(String),
}

/// The server, and the credentials to use.
#[derive(Clone, Default)]
pub struct Server {
    /// Base address of the server, e.g. `https://10.0.0.1:8443`.
    pub url: Option<String>,
    /// API token. A secret.
    pub token: Option<String>,
    /// PEM file of the only certificate authority to trust; `None`: the default roots.
    pub ca: Option<PathBuf>,
}

/// No list has more items.
const MAX_ITEMS: usize = 10_000_000;

/// Client of one server.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
}

impl Client {
    /// Checks the settings; sends nothing.
    ///
    /// # Errors
    /// The address or token is missing, or a setting is unusable.
    pub fn new(server: Server) -> Result<Client, ClientError> {
        let url = server
            .url
            .ok_or_else(|| usage("which server? Give --url https://HOST:8443 or set SLIPWAY_URL"))?;
        let base =
            Url::parse(&url).map_err(|e| usage(format!("the server address {url:?} is wrong: {e}")))?;
        // Never send a token without TLS.
        if base.scheme() != "https" || base.host_str().is_none() {
            return Err(usage(format!(
                "the server address {url:?} must be https://HOST:PORT"
            )));
        }
        let token = server
            .token
            .map(|t| t.trim().to_owned())
            .filter(|t| !t.is_empty())
            .ok_or_else(|| usage("no API token: set SLIPWAY_TOKEN (it is not taken from the command line, where others could read it)"))?;
        // Only one provider per process; a second installation fails harmlessly.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120))
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true);
        if let Some(ca) = server.ca {
            let wrong = |e: &dyn std::fmt::Display| {
                usage(format!(
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
            .map_err(|e| failed(format!("TLS cannot be set up: {}", with_causes(&e))))?;
        Ok(Client { http, base, token })
    }

    /// `GET path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(Method::GET, path, None::<&()>).await
    }

    /// All items of a list, fetched page by page. `path` may have a query.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ClientError> {
        let path = format!(
            "{path}{}limit={}",
            if path.contains('?') { '&' } else { '?' },
            PageQuery::MAX_LIMIT
        );
        let mut page: Page<T> = self.get(&path).await?;
        let mut items = page.items;
        let mut before = None;
        while let Some(token) = page.next_page {
            let plain = token.bytes().all(|b| b.is_ascii_alphanumeric());
            if !plain || before.as_ref() == Some(&token) || items.len() > MAX_ITEMS {
                return Err(failed(format!(
                    "{path} answered with a next_page that leads nowhere: is that a Slipway server of this version?"
                )));
            }
            page = self.get(&format!("{path}&page_token={token}")).await?;
            items.append(&mut page.items);
            before = Some(token);
        }
        Ok(items)
    }

    /// `POST path` with an optional JSON body.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        self.send(Method::POST, path, body).await
    }

    /// `PUT path` with a JSON body.
    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// `DELETE path`.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(Method::DELETE, path, None::<&()>).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let (mut request, url) = self.request(&method, path)?;
        if let Some(body) = body {
            request = request.json(body);
        }
        let bytes = answered(&method, &url, request).await?;
        understood(&method, &url, &bytes)
    }

    /// `POST path` with the bytes of a file as body.
    pub async fn post_file<T: DeserializeOwned>(
        &self,
        path: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<T, ClientError> {
        let (request, url) = self.request(&Method::POST, path)?;
        let request = request
            .header(reqwest::header::CONTENT_TYPE, media_type)
            .body(bytes);
        let bytes = answered(&Method::POST, &url, request).await?;
        understood(&Method::POST, &url, &bytes)
    }

    /// `GET path`, answered with text.
    pub async fn get_text(&self, path: &str) -> Result<String, ClientError> {
        let (request, url) = self.request(&Method::GET, path)?;
        let bytes = answered(&Method::GET, &url, request).await?;
        String::from_utf8(bytes).map_err(|_| failed(format!("{url} answered with something that is no text")))
    }

    fn request(&self, method: &Method, path: &str) -> Result<(reqwest::RequestBuilder, Url), ClientError> {
        let url = self
            .base
            .join(path)
            .map_err(|e| usage(format!("{path:?} is no path: {e}")))?;
        let request = self
            .http
            .request(method.clone(), url.clone())
            .bearer_auth(&self.token);
        Ok((request, url))
    }
}

fn usage(text: impl Into<String>) -> ClientError {
    ClientError::Usage(text.into())
}

fn failed(text: impl Into<String>) -> ClientError {
    ClientError::Failed(text.into())
}

/// The body of a successful answer; `Err`: the server's problem, or why no answer could be read.
async fn answered(
    method: &Method,
    url: &Url,
    request: reqwest::RequestBuilder,
) -> Result<Vec<u8>, ClientError> {
    let no_answer = |e: reqwest::Error| failed(unreachable(url, &e));
    let response = request.send().await.map_err(no_answer)?;
    let status = response.status();
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(no_answer)?;
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(failed(format!(
                "the answer of {url} is larger than {MAX_ANSWER} bytes"
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(bytes);
    }
    Err(match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => ClientError::Refused(problem),
        Err(_) => failed(format!(
            "{method} {url} answered {status}: is that a Slipway server?"
        )),
    })
}

fn understood<T: DeserializeOwned>(method: &Method, url: &Url, bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|e| {
        failed(format!(
            "{method} {url} answered with something this slipway does not understand ({e}): is it the same version as the server?"
        ))
    })
}

/// The error for a missing answer, with a hint at what to check.
fn unreachable(url: &Url, error: &reqwest::Error) -> String {
    // reqwest hides the cause that matters at the end of the source chain.
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
