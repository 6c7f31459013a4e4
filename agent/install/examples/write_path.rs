//! Benchmarks the write path: `write_path IMAGE.zst TARGET` writes the image to a block device or file,
//! destroying its content, and prints seconds and MiB/s of decompressed content as JSON.

use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

use agent_install::write_path;
use inventory_api::id::Sha256Digest;
use inventory_api::plan::{ImageChannel, ImageSource};

fn digest(mut from: impl Read) -> io::Result<(Sha256Digest, u64)> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let (mut total, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        context.update(&buffer[..n]);
        total += n as u64;
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Ok((Sha256Digest(bytes), total))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, image, target] = &args[..] else {
        anyhow::bail!(
            "usage: write_path IMAGE.zst TARGET (a block device or an existing file; its content is lost)"
        )
    };
    // Computes what a manifest would contain; not part of the measurement.
    let (sha256, compressed_bytes) = digest(std::fs::File::open(image)?)?;
    let (content_sha256, content_bytes) = digest(zstd::Decoder::new(std::fs::File::open(image)?)?)?;
    let source = ImageSource {
        path: image.clone(),
        channel: ImageChannel::Http,
        sha256,
        compressed_bytes,
        content_sha256,
        content_bytes,
    };
    let started = Instant::now();
    write_path(Path::new(image), source, Path::new(target))
        .await
        .map_err(anyhow::Error::msg)?;
    let seconds = started.elapsed().as_secs_f64();
    let rate = content_bytes as f64 / seconds / f64::from(1 << 20);
    println!("{{\"content_bytes\":{content_bytes},\"seconds\":{seconds:.3},\"mib_per_second\":{rate:.1}}}");
    Ok(())
}
