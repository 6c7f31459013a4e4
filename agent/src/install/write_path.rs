//! The write path alone, for measuring it against `zstd -d | dd`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use inventory_api::plan::ImageSource;

use super::disk::open_path;
use super::error::StepError;
use super::image_writer::ImageWriter;

/// Chunks as an HTTP body brings them.
const CHUNK: usize = 64 << 10;

/// Writes the compressed image `from` to the block device or existing file `target` as the `write-image` step does:
/// digests checked, zeros skipped, flushed to the medium. Destroys what is on `target`; nothing is verified about it.
///
/// # Errors
/// In words, with the step's stable code.
pub async fn write_path(from: &Path, source: ImageSource, target: &Path) -> Result<(), String> {
    let words = |e: StepError| format!("{} ({})", e.detail, e.code);
    let area = open_path(target).map_err(words)?;
    let mut file = File::open(from).map_err(|e| format!("cannot open {}: {e}", from.display()))?;
    let writer = ImageWriter::start(area, source, ());
    loop {
        // Read where blocking is allowed: it is the "network" of this measurement.
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
