//! The write path alone, to benchmark it against `zstd -d | dd`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use inventory_api::plan::ImageSource;

use super::disk::open_path;
use super::error::StepError;
use super::image_writer::ImageWriter;

/// Chunk size, as in an HTTP body.
const CHUNK: usize = 64 << 10;

/// Writes the compressed image `from` to the block device or existing file `target` as the `write-image` step
/// does: checks digests, skips zeros, flushes to the medium. Destroys what is on `target` without any check
/// of it.
///
/// # Errors
/// The failure, with its stable code.
pub async fn write_path(from: &Path, source: ImageSource, target: &Path) -> Result<(), String> {
    let words = |e: StepError| format!("{} ({})", e.detail, e.code);
    let area = open_path(target).map_err(words)?;
    let mut file = File::open(from).map_err(|e| format!("cannot open {}: {e}", from.display()))?;
    let writer = ImageWriter::start(area, source, ());
    loop {
        // Plays the network in this benchmark; runs where blocking is allowed.
        let (chunk, back) = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK];
            let read = file.read(&mut chunk).map(|n| chunk.truncate(n));
            (read.map(|()| chunk), file)
        })
        .await
        .map_err(|e| e.to_string())?;
        file = back;
        let chunk = chunk.map_err(|e| format!("cannot read {}: {e}", from.display()))?;
        if chunk.is_empty() || !writer.push(Bytes::from(chunk)).await {
            break;
        }
    }
    writer.finish().await.map_err(words)
}
