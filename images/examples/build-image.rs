//! `cargo run -p images --example build-image -- RECIPE OUT CACHE`: makes an image if the recipe has none yet, for scripts.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<std::path::PathBuf> = std::env::args_os().skip(1).map(Into::into).collect();
    let [recipe, out, cache] = &arguments[..] else {
        eprintln!("usage: build RECIPE OUT CACHE");
        return ExitCode::from(2);
    };
    let made = images::RecipeFile::load(recipe).and_then(|recipe| match images::is_current(&recipe, out) {
        Some(image) => Ok(image),
        None => images::build(&recipe, out, cache),
    });
    match made {
        Ok(image) => {
            println!(
                "{}: {} bytes, {} unpacked",
                image.path().display(),
                image.manifest.compressed_bytes,
                image.manifest.content_bytes
            );
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
