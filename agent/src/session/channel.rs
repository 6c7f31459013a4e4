//! Calls to the server: bounded answers, typed errors, retries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use inventory_api::boot::BootArgs;
use inventory_api::text::with_causes;
use inventory_api::{Problem, UnixMs};
use reqwest::header::{CONTENT_TYPE, DATE, RANGE};
use reqwest::{Response, StatusCode};
use rustls::CertificateError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backoff::pause;
use super::credentials::{random_u32, tls};
use super::{Exit, Pace, ServerTime, impossible};
use crate::clock;
use crate::console::Console;
use crate::install::Credentials;
use crate::plain::plain;

/// Largest answer read, in bytes: a plan with its scripts, and a margin.
const ANSWER_LIMIT: usize = 8 << 20;

/// Read timeout; longer than the longest poll the server may hold.
const SILENCE: Duration = Duration::from_secs(45);

/// Timeout for asking the boot service for the time.
const TIME_ANSWER: Duration = Duration::from_secs(10);

/// Interval between messages about a server that does not answer.
const SAY_AGAIN: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No answer, or a temporary refusal (429, 5xx): worth retrying.
    #[error("{0}")]
    Unreachable(String),
    /// The server's certificate is not valid at this machine's time: as [`CallError::Unreachable`], but the
    /// clock may be wrong.
    #[error("{0}")]
    WrongTime(String),
    /// The server refused the request.
    #[error("{} ({})", plain(&.0.detail), plain(&.0.code))]
    Refused(Problem),
    /// An answer this agent cannot parse.
    #[error("{0}")]
    Strange(String),
}

impl CallError {
    /// The exit of a session that cannot go on without the answer.
    pub fn exit(self) -> Exit {
        match self {
            CallError::Refused(problem) => Exit::Refused { problem },
            CallError::Unreachable(_) | CallError::WrongTime(_) | CallError::Strange(_) => impossible(self),
        }
    }

    /// Ends the session if the server rejects our credentials, where retrying does not help.
    pub fn unless_refused(self) -> Result<CallError, Exit> {
        match self {
            CallError::Refused(problem) if matches!(problem.status, 401 | 403) => {
                Err(Exit::Refused { problem })
            }
            error => Ok(error),
        }
    }
}

#[derive(Clone)]
pub struct Channel {
    http: reqwest::Client,
    server: String,
    boot_url: String,
    console: Arc<dyn Console>,
    pace: Pace,
    time: Option<Time>,
}

/// What a machine needs in order to correct its clock.
#[derive(Clone)]
struct Time {
    set: ServerTime,
    /// Validity period of its own certificate.
    valid: (UnixMs, UnixMs),
}

fn client(tls: rustls::ClientConfig) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        // Ignore proxies from the environment.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(SILENCE)
        .tcp_keepalive(Duration::from_secs(15))
        .pool_idle_timeout(Duration::from_secs(60))
        .user_agent(concat!("slipway-agent/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| format!("making the HTTP client: {}", with_causes(&e)))
}

/// The session's HTTP client, for calls made before the session.
pub(crate) fn plain_client(ca_pem: &str) -> Result<reqwest::Client, String> {
    client(tls(ca_pem, None)?)
}

impl Channel {
    /// Opens a channel with the machine's certificate. Connects at the first call.
    pub fn open(credentials: &Credentials, console: Arc<dyn Console>, pace: Pace) -> Result<Channel, String> {
        let tls = tls(
            &credentials.ca_pem,
            Some((&credentials.cert_pem, &credentials.key_pem)),
        )?;
        Channel::with(tls, &credentials.server, &credentials.boot_url, console, pace)
    }

    /// Opens a channel for a machine that has only a boot ticket.
    pub fn open_for_claim(
        args: &BootArgs,
        ca_pem: &str,
        console: Arc<dyn Console>,
        pace: Pace,
    ) -> Result<Channel, Exit> {
        tls(ca_pem, None)
            .and_then(|tls| Channel::with(tls, &args.server, &args.boot_url, console, pace))
            .map_err(impossible)
    }

    fn with(
        tls: rustls::ClientConfig,
        server: &str,
        boot_url: &str,
        console: Arc<dyn Console>,
        pace: Pace,
    ) -> Result<Channel, String> {
        if !server.starts_with("https://") {
            return Err(format!(
                "the server's address {server:?} is not an https:// address"
            ));
        }
        Ok(Channel {
            http: client(tls)?,
            server: server.trim_end_matches('/').to_owned(),
            boot_url: boot_url.trim_end_matches('/').to_owned(),
            console,
            pace,
            time: None,
        })
    }

    /// From now on, asks the boot service for the time when TLS fails over dates, and at once if this
    /// machine's clock is outside its own certificate's validity. The answer is unauthenticated: see
    /// [`clock::believes`]. It does not change whom TLS trusts.
    pub async fn asks_time(&mut self, set: ServerTime, valid: (UnixMs, UnixMs)) {
        self.time = Some(Time { set, valid });
        if !(valid.0..=valid.1).contains(&clock::now()) {
            self.ask_time().await;
        }
    }

    /// Every response of the boot service carries the time in its Date header.
    async fn ask_time(&self) {
        let Some(time) = &self.time else { return };
        let request = self.http.head(format!("{}/boot/site", self.boot_url));
        let answer = request.timeout(TIME_ANSWER).send().await;
        let told = answer.ok().and_then(|answer| {
            let date = answer.headers().get(DATE)?.to_str().ok()?;
            Some(clock::ms(httpdate::parse_http_date(date).ok()?))
        });
        if let Some(told) = told.filter(|told| clock::believes(clock::now(), *told, time.valid)) {
            (time.set)(told);
        }
    }

    /// Posts to `/agent/v1/PATH` and reads the answer; retries as long as the server is unreachable.
    pub async fn post<B: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<A, CallError> {
        let bytes = self.patiently(path, Some(json(body)?)).await?;
        serde_json::from_slice(&bytes).map_err(|e| CallError::Strange(format!("the answer to {path}: {e}")))
    }

    /// As [`post`](Channel::post), ignoring the answer's body.
    pub async fn tell<B: Serialize>(&self, path: &str, body: &B) -> Result<(), CallError> {
        self.patiently(path, Some(json(body)?)).await.map(|_| ())
    }

    /// Posts once, for messages that may be lost.
    pub async fn try_tell<B: Serialize>(&self, path: &str, body: &B) -> Result<(), CallError> {
        self.once(path, Some(json(body)?)).await.map(|_| ())
    }

    /// Gets `/agent/v1/PATH`; retries while the server is unreachable.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, CallError> {
        self.patiently(path, None).await
    }

    /// One call: a POST of `body`, or a GET.
    async fn once(&self, path: &str, body: Option<Bytes>) -> Result<Vec<u8>, CallError> {
        let url = format!("{}/agent/v1/{path}", self.server);
        let request = match body {
            Some(body) => self
                .http
                .post(url)
                .header(CONTENT_TYPE, "application/json")
                .body(body),
            None => self.http.get(url),
        };
        let sent = request.timeout(SILENCE + Duration::from_secs(15)).send().await;
        answer(sent.map_err(|e| away(&self.server, &e))?).await
    }

    /// Calls until there is an answer, showing from time to time what it waits for.
    async fn patiently(&self, path: &str, body: Option<Bytes>) -> Result<Vec<u8>, CallError> {
        let mut attempt = 0;
        let mut said: Option<Instant> = None;
        loop {
            let why = match self.once(path, body.clone()).await {
                Err(CallError::Unreachable(why)) => why,
                Err(CallError::WrongTime(why)) => {
                    self.ask_time().await;
                    why
                }
                other => {
                    if said.is_some() {
                        self.console.line("server: answers again");
                    }
                    return other;
                }
            };
            attempt += 1;
            let wait = pause(attempt, self.pace.retry_first, self.pace.retry_cap, random_u32());
            // A single lost connection is not worth a line: a server restart cuts every poll.
            if attempt >= 2 && said.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
                self.console.line(&format!(
                    "server: {} (attempt {attempt}, still trying)",
                    plain(&why)
                ));
                said = Some(Instant::now());
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Downloads `path` from offset `from`, from the plain boot service or the TLS port.
    pub async fn open_file(&self, path: &str, tls: bool, from: u64) -> Result<Response, reqwest::Error> {
        let base = if tls { &self.server } else { &self.boot_url };
        let mut request = self.http.get(format!("{base}{path}"));
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        request.send().await
    }
}

/// The body of a response. None if it is larger than `limit`.
pub(crate) async fn bounded(mut response: Response, limit: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > limit {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// The body of a successful response, or what the error means.
async fn answer(response: Response) -> Result<Vec<u8>, CallError> {
    let status = response.status();
    match bounded(response, ANSWER_LIMIT).await {
        Ok(Some(bytes)) => judge(status, bytes),
        Ok(None) => Err(CallError::Strange(format!(
            "the answer is larger than {ANSWER_LIMIT} bytes"
        ))),
        Err(e) => Err(CallError::Unreachable(format!(
            "the answer was cut off: {}",
            with_causes(&e)
        ))),
    }
}

fn judge(status: StatusCode, bytes: Vec<u8>) -> Result<Vec<u8>, CallError> {
    if status.is_success() {
        return Ok(bytes);
    }
    let problem: Option<Problem> = serde_json::from_slice(&bytes).ok();
    if is_temporary(status) {
        let words = problem.map_or(String::new(), |p| format!(": {}", plain(&p.detail)));
        return Err(CallError::Unreachable(format!(
            "the server answers {status}{words}"
        )));
    }
    let problem = problem.unwrap_or_else(|| Problem {
        code: "http".into(),
        title: "Refused".into(),
        status: 0,
        detail: format!("the server answers {status} without a reason"),
    });
    // The status line wins over a status in the body.
    Err(CallError::Refused(Problem {
        status: status.as_u16(),
        ..problem
    }))
}

/// Whether the same call may succeed later.
pub fn is_temporary(status: StatusCode) -> bool {
    let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
    status.is_server_error() || busy.contains(&status)
}

fn json(body: &impl Serialize) -> Result<Bytes, CallError> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|e| CallError::Strange(format!("the request cannot be written: {e}")))
}

fn away(server: &str, error: &reqwest::Error) -> CallError {
    let why = format!("{server}: {}", with_causes(error));
    match is_about_dates(error) {
        true => CallError::WrongTime(why),
        false => CallError::Unreachable(why),
    }
}

/// Whether TLS failed because the server's certificate is not valid at this machine's time.
fn is_about_dates(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error hides the error it wraps from `source`.
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        let tls = inner
            .and_then(|inner| inner.downcast_ref())
            .or(error.downcast_ref());
        if let Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) = tls
        {
            return true;
        }
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_an_answer_a_refusal_or_unreachable() {
        let problem = br#"{"type":"ticket-used","title":"t","status":200,"detail":"d"}"#.to_vec();
        assert_eq!(judge(StatusCode::OK, vec![1]), Ok(vec![1]));
        match judge(StatusCode::CONFLICT, problem.clone()) {
            Err(CallError::Refused(p)) => assert_eq!((p.code.as_str(), p.status), ("ticket-used", 409)),
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            judge(StatusCode::BAD_GATEWAY, problem),
            Err(CallError::Unreachable(_))
        ));
        assert!(
            matches!(judge(StatusCode::NOT_FOUND, b"<html>".to_vec()), Err(CallError::Refused(p)) if p.status == 404)
        );
        assert!(matches!(
            judge(StatusCode::FOUND, vec![]),
            Err(CallError::Refused(_))
        ));
    }
}
