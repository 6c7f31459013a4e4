//! The images that can be deployed.

use askama::Template;
use inventory_api::image::ImageManifest;

use super::page::{Page, Shell, html};
use super::session::SignedIn;
use words::text::{disk_size, timestamp};

#[derive(Template)]
#[template(path = "images/images.html")]
struct ImagesPage<'a> {
    shell: Shell,
    images: &'a [ImageManifest],
}

pub(crate) async fn page(at: SignedIn) -> Page {
    Ok(html(ImagesPage {
        shell: at.shell("Images", "Images"),
        images: &at.service.images().await?,
    }))
}

/// "BIOS, UEFI": what the image can boot with.
fn firmware(image: &ImageManifest) -> String {
    let words: Vec<&str> = image.boot.firmware.iter().map(|mode| mode.words()).collect();
    words.join(", ")
}
