//! HTTP boot and the API by curl.

use anyhow::{Context, Result};
use e2e::sim::dhcp::Asker;
use sha2::{Digest, Sha256};

use crate::site::Site;

const BASE: &str = "http://10.77.0.1:8067";

#[tokio::test]
async fn boot_files_are_served_whole_in_parts_and_by_head() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let port = site.port("02:00:00:00:70:01")?;
    port.boot(Asker::Ipxe, 1).await?;
    let kernel = std::fs::read(site.directory().join("mini-os/kernel"))?;
    let initramfs = std::fs::read(site.directory().join("mini-os/initramfs"))?;
    let (image, digest) = site.image("open-1")?;
    let image = std::fs::read(image)?;
    let of_image = format!("/images/{digest}");
    for (path, bytes) in [
        ("/boot/kernel", &kernel),
        ("//boot//kernel", &kernel),
        ("/boot/initramfs", &initramfs),
        ("/boot/undionly.kpxe", &std::fs::read(crate::site::LOADER)?),
        ("/snponly.efi", &std::fs::read("/usr/lib/ipxe/snponly.efi")?),
        (&of_image, &image),
    ] {
        let url = format!("{BASE}{path}");
        let (body, code) = port.curl(&["--path-as-is", &url])?;
        assert_eq!(code, 200, "{path}");
        assert!(&body == bytes, "{path}: other bytes");
        let len = bytes.len();
        for (range, expected, content_range) in [
            ("0-0", &bytes[..1], format!("bytes 0-0/{len}")),
            ("1000-1999", &bytes[1000..2000], format!("bytes 1000-1999/{len}")),
            (
                "-77",
                &bytes[len - 77..],
                format!("bytes {}-{}/{len}", len - 77, len - 1),
            ),
        ] {
            let (answer, code) = port.curl(&["--path-as-is", "-i", "-r", range, &url])?;
            let head = String::from_utf8_lossy(&answer).to_lowercase();
            assert_eq!(code, 206, "{path} {range}");
            assert!(answer.ends_with(expected), "{path} {range}: other bytes");
            assert!(
                head.contains(&format!("content-range: {content_range}\r\n")),
                "{path} {range}"
            );
            assert!(
                head.contains(&format!("content-length: {}\r\n", expected.len())),
                "{path} {range}"
            );
        }
        let beyond = format!("{len}-");
        assert_eq!(
            port.curl(&["--path-as-is", "-r", &beyond, &url])?.1,
            416,
            "{path}"
        );
        let (head, code) = port.curl(&["--path-as-is", "-I", &url])?;
        let head = String::from_utf8_lossy(&head).to_lowercase();
        assert_eq!(code, 200, "HEAD {path}");
        assert!(head.contains(&format!("content-length: {len}\r\n")), "{head}");
        assert!(
            !head.contains("transfer-encoding") && !head.contains("location:"),
            "{head}"
        );
    }
    assert_eq!(
        hex::encode(Sha256::digest(&image)),
        digest,
        "an image is named by its digest"
    );
    // An interrupted download resumes where it stopped.
    let file = site.directory().join("image");
    std::fs::write(&file, &image[..123_456])?;
    let name = file.to_string_lossy().into_owned();
    let (_, code) = port.curl(&["-C", "-", "-o", &name, &format!("{BASE}{of_image}")])?;
    assert_eq!(code, 206);
    assert!(std::fs::read(&file)? == image);
    Ok(())
}

#[tokio::test]
async fn other_http_paths_are_refused_quickly() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let port = site.port("02:00:00:00:71:01")?;
    port.boot(Asker::Ipxe, 1).await?;
    let (_, closed) = site.image("closed-1")?;
    for path in [
        "/",
        "/boot",
        "/boot/",
        "/boot/none",
        "/etc/passwd",
        "/boot/../../etc/passwd",
        "/boot/..%2f..%2fetc%2fpasswd",
        "/../slipway.toml",
        "/data/ca/ca.pem",
        "/images/",
        "/images/zz",
        "/images/../mini-os/kernel",
        &format!("/images/{closed}"),
        &format!("/images/{}", "00".repeat(32)),
        "/v1/machines",
        "/agent/v1/assignment",
        "/revocations_sbat.efi",
    ] {
        let (body, code) = port.curl(&["--path-as-is", &format!("{BASE}{path}")])?;
        assert_eq!(code, 404, "{path}: {}", String::from_utf8_lossy(&body));
        assert!(body.len() < 200);
    }
    for (method, path) in [
        ("POST", "/boot/kernel"),
        ("PUT", "/boot/x"),
        ("DELETE", "/boot/kernel"),
    ] {
        let (_, code) = port.curl(&["-X", method, "-d", "x", &format!("{BASE}{path}")])?;
        assert_eq!(code, 405, "{method} {path}");
    }
    for (query, expected) in [
        ("", 400),
        ("?mac=", 400),
        ("?mac=ff:ff:ff:ff:ff:ff", 400),
        ("?mac=x%0ay", 400),
    ] {
        let (_, code) = port.curl(&[&format!("{BASE}/boot.ipxe{query}")])?;
        assert_eq!(code, expected, "boot.ipxe{query}");
    }
    Ok(())
}

#[tokio::test]
async fn the_api_answers_nothing_without_credentials() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let port = site.port("02:00:00:00:72:01")?;
    port.boot(Asker::System, 1).await?;
    let ca = site.server.ca_file().to_string_lossy().into_owned();
    let (_, open) = site.image("open-1")?;
    let image = format!("/agent/v1/images/{open}");
    let api = [
        ("GET", "/v1/machines"),
        ("GET", "/v1/machines/x"),
        ("GET", "/v1/machines/x/history"),
        ("GET", "/v1/machines/x/plan"),
        ("POST", "/v1/machines/x/commission"),
        ("POST", "/v1/machines/x/deploy"),
        ("POST", "/v1/machines/x/deploy?dry_run=1"),
        ("POST", "/v1/machines/x/release"),
        ("GET", "/v1/images"),
        ("GET", "/v1/profiles"),
        ("GET", "/v1/journey/02:00:00:00:72:01"),
        ("GET", "/v1/events"),
    ];
    let agents = [
        ("POST", "/agent/v1/report"),
        ("GET", "/agent/v1/assignment"),
        ("GET", "/agent/v1/assignment?wait=60&seen=0"),
        ("POST", "/agent/v1/step"),
        ("POST", "/agent/v1/progress"),
        ("POST", "/agent/v1/verification"),
        ("GET", &image),
    ];
    let url = |path: &str| format!("https://10.77.0.1:8443{path}");
    let token = format!("Authorization: Bearer {}", site.server.token());
    for (method, path) in api.into_iter().chain(agents) {
        for credential in [
            "X-Nothing: 1",
            "Authorization: Bearer ",
            "Authorization: Bearer 0000",
            "Authorization: Basic YTpi",
        ] {
            let body: &[&str] = if method == "POST" { &["-d", "{}"] } else { &[] };
            let address = url(path);
            let mut arguments = vec!["--cacert", &ca, "-X", method, "-H", credential, &address];
            arguments.extend(body);
            let (answer, code) = port.curl(&arguments)?;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert_eq!(code, 401, "{method} {path} with {credential:?}: {answer}");
            assert!(
                answer.contains("\"detail\""),
                "a problem that says what to do: {answer}"
            );
        }
    }
    // A user's token is not a machine's certificate.
    for (method, path) in agents {
        let address = url(path);
        let (_, code) = port.curl(&["--cacert", &ca, "-X", method, "-H", &token, &address])?;
        assert_eq!(code, 401, "{method} {path} with a user's token");
    }
    let (body, code) = port.curl(&["--cacert", &ca, &url("/v1/health")])?;
    assert_eq!((code, body.as_slice()), (200, &br#"{"ok":true}"#[..]));
    let (_, code) = port.curl(&["--cacert", &ca, "-H", &token, &url("/v1/machines")])?;
    assert_eq!(code, 200, "with the token it is open");
    // Nothing is answered without TLS on that port, or to a client that expects another server.
    let plain = port.run("curl", &["-s", "-m", "5", "http://10.77.0.1:8443/v1/health"])?;
    assert!(!plain.status.success() && plain.stdout.is_empty());
    let unknown = port.run("curl", &["-s", "-m", "5", &url("/v1/health")])?;
    assert_eq!(
        unknown.status.code().context("curl was killed")?,
        60,
        "an unknown authority"
    );
    Ok(())
}
