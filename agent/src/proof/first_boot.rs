//! First-boot scripts: each runs once, and its result is kept.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use inventory_api::deploy::Script;
use inventory_api::{PlanId, Sha256Digest, UnixMs};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::files::read_bounded;
use crate::clock::now;
use crate::console::Console;
use crate::plain::plain;

/// What to do with first-boot scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstBoot {
    /// Run them, each for at most this time.
    Run {
        /// Time limit per script; then it and its children are killed.
        limit: Duration,
    },
    /// Do not run them (a simulated machine): pretend that each ended with this status.
    Pretend {
        /// The exit status.
        exit_status: i32,
    },
}

impl Default for FirstBoot {
    fn default() -> FirstBoot {
        FirstBoot::Run {
            limit: Duration::from_secs(600),
        }
    }
}

/// Maximum number of starts of one script: a run cut off by a power loss or crash is repeated, but not
/// without end.
const RUNS: u32 = 3;
/// How much of the end of a script's output is kept, in bytes.
const OUTPUT_KEPT: usize = 16 << 10;
/// Debian's own for root.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const RECORDS: &str = "var/lib/slipway-agent/firstboot";

/// The record of a script's run: `/var/lib/slipway-agent/firstboot/NAME.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    plan: PlanId,
    /// Of the script's text.
    sha256: Sha256Digest,
    /// How often it was started.
    runs: u32,
    /// The last time.
    started_at: UnixMs,
    /// Absent while it runs, or if the machine went down first.
    end: Option<End>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    at: UnixMs,
    /// For example "exit status 0".
    how: String,
    /// Exit status 0.
    ok: bool,
    /// The end of what it wrote to standard output and standard error.
    output: String,
}

fn record_path(root: &Path, script: &Script) -> PathBuf {
    root.join(RECORDS).join(format!("{}.json", script.name))
}

/// The record of exactly this script for this plan.
fn record_of(root: &Path, plan: &PlanId, script: &Script) -> Option<Record> {
    let sha256 = digest_of(script);
    read_record(&record_path(root, script)).filter(|r| r.plan == *plan && r.sha256 == sha256)
}

fn digest_of(script: &Script) -> Sha256Digest {
    Sha256Digest(Sha256::digest(script.content.as_bytes()).into())
}

/// How `script` ended for this plan; `None` if it has not.
pub fn ended(root: &Path, plan: &PlanId, script: &Script) -> Option<Result<String, String>> {
    Some(verdict(&record_of(root, plan, script)?.end?))
}

/// Runs `script`, whose file is `file`, if it has not run for this plan. Ok when it ended with exit status 0.
pub async fn once(
    root: &Path,
    plan: &PlanId,
    script: &Script,
    file: &Path,
    first_boot: &FirstBoot,
    console: &dyn Console,
) -> Result<String, String> {
    let path = record_path(root, script);
    let sha256 = digest_of(script);
    let runs = match record_of(root, plan, script) {
        None => 1,
        Some(Record { end: Some(end), .. }) => return verdict(&end),
        Some(record) if record.runs < RUNS => record.runs + 1,
        Some(_) => {
            return Err(format!(
                "it was started {RUNS} times, and the machine went down each time"
            ));
        }
    };
    let mut record = Record {
        plan: plan.clone(),
        sha256,
        runs,
        started_at: now(),
        end: None,
    };
    // Without a record it would run on every boot, so do not run it at all.
    write_record(&path, &record).map_err(|e| format!("not run, {}: {e}", path.display()))?;
    console.line(&format!("first boot: running script {}", script.name));
    let end = match first_boot {
        FirstBoot::Run { limit } => {
            let end = run(root, file, *limit).await;
            // What the script wrote must survive a power cut as the record does; otherwise the script counts
            // as done but its work is lost. If the task panics, the data is just not flushed early.
            let _ = tokio::task::spawn_blocking(nix::unistd::sync).await;
            end
        }
        FirstBoot::Pretend { exit_status } => End {
            at: now(),
            how: format!("exit status {exit_status}"),
            ok: *exit_status == 0,
            output: String::new(),
        },
    };
    console.line(&format!("first boot: script {}: {}", script.name, end.how));
    record.end = Some(end.clone());
    write_record(&path, &record).map_err(|e| format!("{}, but {}: {e}", end.how, path.display()))?;
    verdict(&end)
}

fn verdict(end: &End) -> Result<String, String> {
    if end.ok {
        return Ok(end.how.clone());
    }
    let last = end.output.lines().rev().find(|l| !l.trim().is_empty());
    Err(match last {
        Some(line) => format!("{}; its last output: {}", end.how, plain(line)),
        None => end.how.clone(),
    })
}

/// Runs the file in its own process group with a clean environment.
async fn run(root: &Path, file: &Path, limit: Duration) -> End {
    let mut command = tokio::process::Command::new(file);
    // SAFETY: umask(2) is async-signal-safe and cannot fail. The agent's own mask (0077 from its unit) would
    // break scripts that write world-readable configuration.
    unsafe {
        command.pre_exec(|| {
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
            Ok(())
        });
    }
    let spawned = command
        .current_dir(root)
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(e) => return end(format!("it could not be started: {e}"), false, Vec::new()),
    };
    let group = child.id();
    let out = tokio::spawn(tail(child.stdout.take()));
    let err = tokio::spawn(tail(child.stderr.take()));
    let waited = tokio::time::timeout(limit, child.wait()).await;
    let (how, ok) = match waited {
        Ok(Ok(status)) => (words(status), status.success()),
        Ok(Err(e)) => (format!("waiting for it failed: {e}"), false),
        Err(_) => {
            if let Some(group) = group.and_then(|g| i32::try_from(g).ok()) {
                // The script itself may already be gone; this is for its children.
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
            let _ = child.wait().await;
            (format!("killed after {} s", limit.as_secs()), false)
        }
    };
    // A service started by the script may keep the pipes open.
    let mut output = Vec::new();
    for reader in [out, err] {
        let abort = reader.abort_handle();
        if let Ok(Ok(bytes)) = tokio::time::timeout(Duration::from_secs(1), reader).await {
            output.extend(bytes);
        }
        abort.abort();
    }
    end(how, ok, output)
}

fn end(how: String, ok: bool, output: Vec<u8>) -> End {
    let from = output.len().saturating_sub(OUTPUT_KEPT);
    End {
        at: now(),
        how,
        ok,
        output: String::from_utf8_lossy(&output[from..]).into_owned(),
    }
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended without a status".to_owned(),
    }
}

/// The last bytes of a stream.
async fn tail(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..n]);
        if kept.len() > 2 * OUTPUT_KEPT {
            kept.drain(..kept.len() - OUTPUT_KEPT);
        }
    }
    kept
}

fn read_record(path: &Path) -> Option<Record> {
    serde_json::from_slice(&read_bounded(path, 1 << 20).ok()?).ok()
}

/// Writes the record atomically.
fn write_record(path: &Path, record: &Record) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let new = PathBuf::from(format!("{}.new", path.display()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(&serde_json::to_vec_pretty(record)?)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    std::fs::File::open(directory)?.sync_all()
}
