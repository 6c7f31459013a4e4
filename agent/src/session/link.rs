//! The install executor's link to the server.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::StreamExt;
use inventory_api::agent::{Permission, Progress, StepOutcome, StepReport};
use inventory_api::plan::{ImageChannel, ImageSource};
use inventory_api::text::with_causes;
use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Pace;
use super::channel::{CallError, Channel, is_temporary};
use crate::console::Console;
use crate::install::{ByteStream, FetchError, Link};
use crate::plain::plain;

/// One run's link to the server. A separate task sends progress, only the newest value.
pub struct ServerLink {
    channel: Channel,
    console: Arc<dyn Console>,
    /// Number of steps in the plan.
    steps: usize,
    /// Progress of the running step that was shown, in tenths.
    shown: AtomicU32,
    progress: watch::Sender<Option<Progress>>,
    sender: JoinHandle<()>,
}

impl ServerLink {
    /// Must be called inside a tokio runtime.
    pub fn new(channel: Channel, console: Arc<dyn Console>, pace: &Pace, steps: usize) -> ServerLink {
        let (progress, newest) = watch::channel(None);
        let sender = tokio::spawn(send_progress(channel.clone(), newest, pace.progress));
        ServerLink {
            channel,
            console,
            steps,
            shown: AtomicU32::new(0),
            progress,
            sender,
        }
    }
}

impl Drop for ServerLink {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

async fn send_progress(
    channel: Channel,
    mut newest: watch::Receiver<Option<Progress>>,
    gap: std::time::Duration,
) {
    while newest.changed().await.is_ok() {
        let progress = newest.borrow_and_update().clone();
        if let Some(progress) = progress {
            // Lost progress does no harm: the next message supersedes it.
            let _ = channel.try_tell("progress", &progress).await;
        }
        tokio::time::sleep(gap).await;
    }
}

impl Link for ServerLink {
    async fn step(&self, report: StepReport) -> Result<Permission, String> {
        let answer = self.channel.post("step", &report).await;
        let step = format!(
            "install: step {}/{} {}",
            report.index + 1,
            self.steps,
            report.name
        );
        match (&report.outcome, &answer) {
            (StepOutcome::Starting {}, Ok(Permission::Continue {})) => {
                self.shown.store(0, Ordering::Relaxed);
                self.console.line(&step);
            }
            (StepOutcome::Done { elapsed_ms }, _) if (report.index as usize) < self.steps => {
                self.console
                    .line(&format!("{step}: done in {:.1} s", *elapsed_ms as f64 / 1000.0));
            }
            _ => {}
        }
        answer.map_err(|e: CallError| e.to_string())
    }

    fn progress(&self, progress: Progress) {
        let tenths = (u128::from(progress.done_bytes) * 10 / u128::from(progress.total_bytes.max(1))) as u32;
        if tenths > self.shown.fetch_max(tenths, Ordering::Relaxed) {
            self.console.line(&format!(
                "install: {}0 % ({} of {} MiB)",
                tenths,
                progress.done_bytes >> 20,
                progress.total_bytes >> 20
            ));
        }
        self.progress.send_replace(Some(progress));
    }

    fn note(&self, text: &str) {
        self.console.line(&format!("install: {}", plain(text)));
    }

    fn fetch(
        &self,
        source: &ImageSource,
        from: u64,
    ) -> impl Future<Output = Result<ByteStream, FetchError>> + Send {
        let path = source.path.clone();
        let tls = source.channel == ImageChannel::MutualTls;
        let channel = self.channel.clone();
        let total = source.compressed_bytes;
        async move {
            if !safe_path(&path) {
                return Err(FetchError::Fatal(format!("{path:?} is not a valid image path")));
            }
            let response = channel
                .open_file(&path, tls, from)
                .await
                .map_err(|e| FetchError::Retry(format!("image {path}: {}", with_causes(&e))))?;
            opened(&response, &path, from, total)?;
            let stream = response
                .bytes_stream()
                .map(|chunk| chunk.map_err(|e| std::io::Error::other(with_causes(&e))));
            Ok(Box::pin(stream) as ByteStream)
        }
    }
}

/// Whether this is just a path on the server: a plan must not send the agent to another host.
fn safe_path(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//") && path.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether the response is the rest of the image from offset `from`.
fn opened(response: &Response, path: &str, from: u64, total: u64) -> Result<(), FetchError> {
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|range| range.to_str().ok());
    let judged = judge(response.status(), range, response.content_length(), from, total);
    judged.map_err(|(retry, why)| {
        let why = format!("image {path} from byte {from}: {why}");
        if retry {
            FetchError::Retry(why)
        } else {
            FetchError::Fatal(why)
        }
    })
}

/// The decision of [`opened`]; an error says whether retrying can help.
fn judge(
    status: StatusCode,
    range: Option<&str>,
    length: Option<u64>,
    from: u64,
    total: u64,
) -> Result<(), (bool, String)> {
    if is_temporary(status) {
        return Err((true, format!("the server answers {status}")));
    }
    match status {
        StatusCode::OK if from == 0 => {}
        StatusCode::OK => return Err((false, "the server does not support range requests".into())),
        StatusCode::PARTIAL_CONTENT => {
            let starts = range
                .and_then(|r| r.strip_prefix("bytes "))
                .and_then(|r| r.split('-').next())
                .and_then(|r| r.trim().parse::<u64>().ok());
            if starts != Some(from) {
                return Err((false, format!("the server sent the wrong range {range:?}")));
            }
        }
        other => return Err((false, format!("the server answers {other}"))),
    }
    let planned = total.saturating_sub(from);
    match length.filter(|length| *length != planned) {
        Some(length) => Err((
            false,
            format!("the server has {length} bytes, the plan says {planned}"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rest_of_the_image_will_do() {
        let ok = StatusCode::OK;
        let part = StatusCode::PARTIAL_CONTENT;
        assert_eq!(judge(ok, None, Some(10), 0, 10), Ok(()));
        assert_eq!(judge(part, Some("bytes 4-9/10"), Some(6), 4, 10), Ok(()));
        let retry = |r: Result<(), (bool, String)>| r.unwrap_err().0;
        assert!(!retry(judge(ok, None, Some(10), 4, 10)));
        assert!(!retry(judge(ok, None, Some(11), 0, 10)));
        assert!(!retry(judge(part, Some("bytes 0-9/10"), Some(10), 4, 10)));
        assert!(!retry(judge(part, None, Some(6), 4, 10)));
        assert!(!retry(judge(StatusCode::NOT_FOUND, None, None, 0, 10)));
        assert!(retry(judge(StatusCode::SERVICE_UNAVAILABLE, None, None, 0, 10)));
    }

    #[test]
    fn only_plain_paths_on_the_server_are_fetched() {
        assert!(safe_path("/images/ab"));
        for bad in ["", "images", "//evil/x", "/a b", "/a\r\nX: y", "http://x/"] {
            assert!(!safe_path(bad), "{bad:?}");
        }
    }
}
