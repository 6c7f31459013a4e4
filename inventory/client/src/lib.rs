//! Client of the API: TLS only, problems as errors, answers of limited size.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use inventory_api::Problem;
use inventory_api::import::ImportReport;
use inventory_api::machine::{
    DeployResponse, Deployment, MachineDetail, MachineFilter, MachineSummary, Verb, VerbResponse,
};
use inventory_api::page::{Page, PageQuery};
use inventory_api::routes::{self, Method, Raw, Route};
use inventory_api::text::{tame, with_causes};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, RequestBuilder, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest name in a path, bytes.
const MAX_KEY: usize = 1024;
/// Largest answer accepted, bytes.
const MAX_ANSWER: usize = 64 << 20;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address, the path, the token or the certificate authority is unusable: nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// The server answered with a problem.
    #[error("{}", refusal(.0))]
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
#[derive(Clone)]
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

    /// Sends a request without a body. `keys` replace the names in the route's path.
    pub async fn ask<const N: usize, T: DeserializeOwned>(
        &self,
        route: Route<N, (), T>,
        keys: [&str; N],
    ) -> Result<T, ClientError> {
        self.json(self.request(&route, keys)?).await
    }

    /// Sends a request with a JSON body.
    pub async fn send<const N: usize, B: Serialize, T: DeserializeOwned>(
        &self,
        route: Route<N, B, T>,
        keys: [&str; N],
        body: &B,
    ) -> Result<T, ClientError> {
        self.json(self.request(&route, keys)?.json(body)).await
    }

    /// One page of a list.
    pub async fn page_of<const N: usize, Q: Serialize, T: DeserializeOwned>(
        &self,
        route: &Route<N, Q, Page<T>>,
        keys: [&str; N],
        filter: &Q,
        page: &PageQuery,
    ) -> Result<Page<T>, ClientError> {
        self.json(self.request(route, keys)?.query(filter).query(page))
            .await
    }

    /// All items of a list, fetched page by page.
    pub async fn list<const N: usize, Q: Serialize, T: DeserializeOwned>(
        &self,
        route: Route<N, Q, Page<T>>,
        keys: [&str; N],
        filter: &Q,
    ) -> Result<Vec<T>, ClientError> {
        let mut query = PageQuery {
            limit: Some(PageQuery::MAX_LIMIT),
            page_token: None,
        };
        let mut items = Vec::new();
        loop {
            let mut page = self.page_of(&route, keys, filter, &query).await?;
            items.append(&mut page.items);
            if page.next_page.is_none() {
                return Ok(items);
            }
            if page.next_page == query.page_token || items.len() > MAX_ITEMS {
                let path = route.path;
                return Err(failed(format!(
                    "{path} answered with a next_page that leads nowhere: is that a Slipway server of this version?"
                )));
            }
            query.page_token = page.next_page;
        }
    }

    /// Imports a file of this media type.
    pub async fn import(
        &self,
        route: Route<0, Raw, ImportReport>,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<ImportReport, ClientError> {
        let request = self.request(&route, [])?.header(CONTENT_TYPE, media_type);
        self.json(request.body(bytes)).await
    }

    /// An answer that is not JSON, as text.
    pub async fn text<const N: usize>(
        &self,
        route: Route<N, (), Raw>,
        keys: [&str; N],
    ) -> Result<String, ClientError> {
        let (_, url, bytes) = self.answer(self.request(&route, keys)?).await?;
        String::from_utf8(bytes)
            .map_err(|_| failed(format!("{url} answered with something that is not text")))
    }

    /// All machines that match a filter.
    pub async fn machines(&self, filter: &MachineFilter) -> Result<Vec<MachineSummary>, ClientError> {
        self.list(routes::MACHINES, [], filter).await
    }

    /// The machine with this id, MAC, serial number or asset tag.
    pub async fn machine(&self, key: &str) -> Result<MachineDetail, ClientError> {
        self.ask(routes::MACHINE, [key]).await
    }

    /// Does to a machine what needs nothing but the machine.
    pub async fn verb(&self, key: &str, verb: Verb) -> Result<VerbResponse, ClientError> {
        self.ask(routes::VERB, [key, &verb.to_string()]).await
    }

    /// Deploys a machine; with `dry_run` only the plan is made.
    pub async fn deploy(
        &self,
        key: &str,
        deployment: &Deployment,
        dry_run: bool,
    ) -> Result<DeployResponse, ClientError> {
        let request = self.request(&routes::DEPLOY, [key])?;
        let dry_run = dry_run.then_some(("dry_run", "1"));
        self.json(request.query(dry_run.as_slice()).json(deployment))
            .await
    }

    fn request<const N: usize, B, T>(
        &self,
        route: &Route<N, B, T>,
        keys: [&str; N],
    ) -> Result<RequestBuilder, ClientError> {
        let mut keys = keys.into_iter();
        let mut url = self.base.clone();
        let mut segments = url
            .path_segments_mut()
            .map_err(|()| usage("the server address has no path"))?;
        segments.clear();
        for part in route.path.split('/').skip(1) {
            let segment = match part.strip_prefix('{') {
                Some(name) => keys.next().filter(|key| usable(key)).ok_or_else(|| {
                    usage(format!(
                        "{} must be 1 to {MAX_KEY} bytes, and not . or ..",
                        name.trim_end_matches('}')
                    ))
                })?,
                None => part,
            };
            segments.push(segment);
        }
        drop(segments);
        let method = match route.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        Ok(self.http.request(method, url).bearer_auth(&self.token))
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let (method, url, bytes) = self.answer(request).await?;
        serde_json::from_slice(&bytes).map_err(|e| {
            failed(format!(
                "{method} {url} answered with something this slipway does not understand ({e}): is it the same version as the server?"
            ))
        })
    }

    /// The body of a successful answer; `Err`: the server's problem, or why no answer could be read.
    async fn answer(&self, request: RequestBuilder) -> Result<(reqwest::Method, Url, Vec<u8>), ClientError> {
        let request = request.build().map_err(|e| usage(with_causes(&e)))?;
        let (method, url) = (request.method().clone(), request.url().clone());
        let no_answer = |e: reqwest::Error| failed(unreachable(&url, &e));
        let response = self.http.execute(request).await.map_err(no_answer)?;
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
            return Ok((method, url, bytes));
        }
        Err(match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => ClientError::Refused(problem),
            Err(_) => failed(format!(
                "{method} {url} answered {status}: is that a Slipway server?"
            )),
        })
    }
}

/// Whether a key can be a segment of a path. URL rules resolve `.` and `..` away, percent-encoded or not.
fn usable(key: &str) -> bool {
    !key.is_empty() && key.len() <= MAX_KEY && key != "." && key != ".."
}

fn usage(text: impl Into<String>) -> ClientError {
    ClientError::Usage(text.into())
}

fn failed(text: impl Into<String>) -> ClientError {
    ClientError::Failed(text.into())
}

/// The problem as text for a terminal, with a hint for status 401.
fn refusal(p: &Problem) -> String {
    // The detail of a refused import has one error per line.
    let detail: Vec<String> = p.detail.lines().take(60).map(|line| tame(line, 2000)).collect();
    let hint = match p.status {
        401 => {
            "\n  Set SLIPWAY_TOKEN to a valid API token (the first one is printed when the server is first started)."
        }
        _ => "",
    };
    let (title, detail, code) = (tame(&p.title, 200), detail.join("\n  "), tame(&p.code, 80));
    format!("{title}: {detail}{hint}\n  ({} {code})", p.status)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_path_segment() {
        let server = Server {
            url: Some("https://h:1/x".into()),
            token: Some("t".into()),
            ca: None,
        };
        let client = Client::new(server).unwrap();
        let path = |key: &str| {
            let request = client.request(&routes::HISTORY, [key])?;
            Ok::<_, ClientError>(request.build().unwrap().url().path().to_owned())
        };
        for (key, encoded) in [
            ("m-0123", "m-0123"),
            ("52:54:00:12:34:56", "52:54:00:12:34:56"),
            ("../x?y#z", "..%2Fx%3Fy%23z"),
            ("50%\u{e9}", "50%25%C3%A9"),
        ] {
            assert_eq!(path(key).unwrap(), format!("/v1/machines/{encoded}/history"));
        }
        for wrong in ["", ".", "..", &"x".repeat(MAX_KEY + 1)] {
            let error = path(wrong).unwrap_err();
            assert!(
                matches!(&error, ClientError::Usage(text) if text.starts_with("key must be")),
                "{error}"
            );
        }
    }
}
