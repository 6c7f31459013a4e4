//! What iPXE does: fetches files over HTTP and follows a script.

use std::time::Duration;

use anyhow::{Context, Result, bail};

/// An HTTP client without TLS.
pub(super) fn client() -> Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Plain HTTP only: the platform's certificates are not needed, and a bare machine has none.
    Ok(reqwest::Client::builder()
        .tls_certs_only([])
        .timeout(Duration::from_secs(60))
        .build()?)
}

/// Fetches the whole body.
pub(super) async fn fetch(client: &reqwest::Client, url: &str) -> Result<Vec<u8>> {
    let response = client.get(url).send().await?.error_for_status()?;
    Ok(response.bytes().await?.to_vec())
}

/// An iPXE script, as far as a simulated machine must understand it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Script {
    Local,
    Kernel { arguments: String, files: Vec<String> },
}

impl Script {
    /// `url` is where the script came from; its file names are relative to that.
    pub(super) fn parse(text: &str, url: &str) -> Result<Script> {
        if !text.starts_with("#!ipxe\n") {
            bail!("not an iPXE script: {:?}", text.lines().next());
        }
        let base = reqwest::Url::parse(url)?;
        let (mut arguments, mut files) = (None, Vec::new());
        for line in text.lines() {
            let line = line.split("||").next().unwrap_or_default();
            // The only option with a value in our scripts.
            let line = line
                .replace("--name kernel ", "")
                .replace("--name initramfs ", "")
                .replace("--name site ", "")
                // The simulated machines are x86-64.
                .replace("${folder}", "");
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("kernel") => {
                    files.push(
                        base.join(words.next().context("kernel without a file")?)?
                            .to_string(),
                    );
                    arguments = Some(words.collect::<Vec<_>>().join(" "));
                }
                Some("initrd" | "module") => {
                    files.push(
                        base.join(words.next().context("initrd without a file")?)?
                            .to_string(),
                    );
                }
                Some("sanboot" | "exit") if arguments.is_none() => return Ok(Script::Local),
                _ => {}
            }
        }
        let arguments = arguments.with_context(|| format!("the script boots nothing:\n{text}"))?;
        Ok(Script::Kernel { arguments, files })
    }
}

/// The CA certificate in the site archive.
pub(super) fn certificate_in(archive: &[u8]) -> Result<String> {
    let text = String::from_utf8_lossy(archive);
    let from = text
        .find("-----BEGIN CERTIFICATE-----")
        .context("no certificate in the site archive")?;
    const END: &str = "-----END CERTIFICATE-----";
    let to = from
        + text[from..]
            .find(END)
            .context("a cut certificate in the site archive")?
        + END.len();
    Ok(format!("{}\n", &text[from..to]))
}
