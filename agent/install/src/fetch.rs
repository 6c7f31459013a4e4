//! Feeds the server's stream into the writer: resumes where it was cut, within time limits.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::StreamExt;
use inventory_api::agent::Progress;
use inventory_api::id::PlanId;
use inventory_api::plan::ImageSource;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::error::{StepError, fail};
use super::image_writer::ImageWriter;
use super::link::{FetchError, Link};

/// Time limits of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Without an answer or a byte for this long, the connection counts as cut.
    pub stall: Duration,
    /// Without a byte for this long over all attempts, the step fails.
    pub give_up: Duration,
    /// Pause before the second attempt; doubles up to five seconds.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            stall: Duration::from_secs(20),
            give_up: Duration::from_secs(180),
            pause: Duration::from_millis(200),
        }
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const PROGRESS_EVERY: Duration = Duration::from_millis(300);

/// What is being written, for progress messages.
pub(super) struct Progressing<'a> {
    pub plan: PlanId,
    pub index: u32,
    pub source: &'a ImageSource,
}

/// Streams the whole image into `writer` and waits until it is verified and on the disk.
pub(super) async fn stream<L: Link>(
    target: &Progressing<'_>,
    patience: &Patience,
    writer: ImageWriter,
    link: &L,
) -> Result<(), StepError> {
    let written = writer.written();
    let tell = || {
        link.progress(Progress {
            plan: target.plan.clone(),
            index: target.index,
            done_bytes: written.load(Ordering::Relaxed).min(target.source.content_bytes),
            total_bytes: target.source.content_bytes,
        });
    };
    let work = async {
        let fed = feed(target.source, patience, &writer, link).await;
        let finished = writer.finish().await;
        // An error while feeding is the cause; the writer then only sees too little data.
        fed.and(finished)
    };
    tokio::pin!(work);
    let mut ticks = interval(PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            result = &mut work => {
                if result.is_ok() {
                    tell();
                }
                return result;
            }
            _ = ticks.tick() => tell(),
        }
    }
}

async fn feed<L: Link>(
    source: &ImageSource,
    patience: &Patience,
    writer: &ImageWriter,
    link: &L,
) -> Result<(), StepError> {
    let total = source.compressed_bytes;
    let mut offset = 0;
    let mut last_byte = Instant::now();
    let mut pause = patience.pause;
    loop {
        let before = offset;
        let why = match attempt(source, patience, writer, link, &mut offset).await? {
            Attempt::Complete => return Ok(()),
            Attempt::Cut(why) => why,
        };
        if offset > before {
            (last_byte, pause) = (Instant::now(), patience.pause);
        }
        if last_byte.elapsed() >= patience.give_up {
            let (path, seconds) = (&source.path, patience.give_up.as_secs());
            let text =
                format!("no data of image {path} for {seconds} s, {offset} of {total} bytes received: {why}");
            return fail("image-fetch", text);
        }
        link.note(&format!(
            "connection lost at byte {offset} of {total} ({why}), resuming"
        ));
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Attempt {
    Complete,
    Cut(String),
}

async fn attempt<L: Link>(
    source: &ImageSource,
    patience: &Patience,
    writer: &ImageWriter,
    link: &L,
    offset: &mut u64,
) -> Result<Attempt, StepError> {
    let stalled = || Attempt::Cut(format!("no data for {} s", patience.stall.as_secs()));
    let mut stream = match timeout(patience.stall, link.fetch(source, *offset)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(FetchError::Retry(why))) => return Ok(Attempt::Cut(why)),
        Ok(Err(FetchError::Fatal(why))) => return fail("image-fetch", why),
        Err(_) => return Ok(stalled()),
    };
    loop {
        match timeout(patience.stall, stream.next()).await {
            Ok(Some(Ok(chunk))) => {
                *offset += chunk.len() as u64;
                if *offset > source.compressed_bytes {
                    let planned = source.compressed_bytes;
                    return fail(
                        "image-size",
                        format!("the server sent more than the planned {planned} bytes"),
                    );
                }
                if !writer.push(chunk).await {
                    // The writer has ended; `finish` returns why.
                    return Ok(Attempt::Complete);
                }
            }
            Ok(Some(Err(e))) => return Ok(Attempt::Cut(e.to_string())),
            Ok(None) if *offset == source.compressed_bytes => return Ok(Attempt::Complete),
            Ok(None) => return Ok(Attempt::Cut("the stream ended early".into())),
            Err(_) => return Ok(stalled()),
        }
    }
}
