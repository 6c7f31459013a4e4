//! Failures: power, streams, digests, changing disks, hostile images.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use agent_install::{Ended, Site, execute};

use crate::bench::{Bench, MIB, Server};

/// Waits until `done`, at most ten seconds.
async fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "waited 10 s for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn power_cut_in_the_middle_of_the_image_then_again() {
    let bench = Bench::new();
    let site = bench.site();
    let server = Server {
        hang: Some(bench.image.len() * 9 / 10),
        ..bench.server()
    };
    let credentials = bench.credentials();
    let written = || {
        server
            .progress
            .lock()
            .expect("progress")
            .iter()
            .any(|p| p.done_bytes > 0)
    };
    tokio::select! {
        ended = execute(&bench.plan, &credentials, &site, &server) => panic!("it ended: {ended:?}"),
        () = until("some of the image is written", written) => {}
    }
    // A partial image begins with zeros: no superblock, nothing bootable.
    assert_eq!(bench.disk(bench.root_start(), 4096), [0; 4096]);
    let ended = execute(&bench.plan, &credentials, &site, &bench.server()).await;
    assert_eq!(ended, Ok(Ended::Done));
    assert!(
        bench.disk(bench.root_start(), bench.content.len()) == bench.content,
        "the root partition differs"
    );
}

#[tokio::test]
async fn a_cut_stream_goes_on_where_it_was() {
    let bench = Bench::new();
    let cuts = [1_000_000, 1_000_000, 2_500_001];
    let server = Server {
        cuts: std::sync::Mutex::new(cuts.into()),
        ..bench.server()
    };
    let ended = execute(&bench.plan, &bench.credentials(), &bench.site(), &server).await;
    assert_eq!(ended, Ok(Ended::Done));
    assert_eq!(
        *server.fetches.lock().expect("fetches"),
        [0, 1_000_000, 1_000_000, 2_500_001]
    );
    assert_eq!(server.notes.lock().expect("notes").len(), 3);
    assert!(
        bench.disk(bench.root_start(), bench.content.len()) == bench.content,
        "the root partition differs"
    );
}

#[tokio::test]
async fn a_server_that_stays_away_is_not_waited_for_forever() {
    let bench = Bench::new();
    let server = Server {
        dead: true,
        ..bench.server()
    };
    let failure = execute(&bench.plan, &bench.credentials(), &bench.site(), &server)
        .await
        .expect_err("no image");
    assert_eq!((failure.code.as_str(), failure.wrote), ("image-fetch", true));
    assert!(failure.detail.contains("connection refused"), "{failure}");
    assert!(server.fetches.lock().expect("fetches").len() > 1);
    assert_eq!(server.codes(), ["write-image: image-fetch"]);
}

#[tokio::test]
async fn wrong_bytes_are_named_and_nothing_half_good_stays() {
    type Change = fn(&mut Bench);
    let cases: [(&str, Change); 6] = [
        ("image-digest", |b| b.image_step().sha256.0[0] ^= 1),
        ("image-digest", |b| b.image_step().content_sha256.0[0] ^= 1),
        // One byte corrupted in transit: whether or not decompression fails, the digest shows it.
        ("image-digest", |b| {
            let mut image = b.image.to_vec();
            let middle = image.len() / 2;
            image[middle] ^= 0x40;
            b.image = image.into();
        }),
        ("image-corrupt", |b| b.image_step().content_bytes -= 1),
        ("image-size", |b| b.image_step().content_bytes += 1),
        // The digest matches, but the data is not zstd.
        ("image-corrupt", |b| {
            b.image = b"not compressed at all".to_vec().into();
            let (digest, len) = (crate::bench::sha256(&b.image), b.image.len() as u64);
            (b.image_step().sha256, b.image_step().compressed_bytes) = (digest, len);
        }),
    ];
    for (i, (code, change)) in cases.into_iter().enumerate() {
        let mut bench = Bench::new();
        change(&mut bench);
        let server = bench.server();
        let failure = execute(&bench.plan, &bench.credentials(), &bench.site(), &server)
            .await
            .expect_err("wrong bytes");
        assert_eq!(
            (failure.code.as_str(), failure.step.as_str()),
            (code, "write-image"),
            "case {i}: {failure}"
        );
        assert_eq!(bench.disk(bench.root_start(), 4096), [0; 4096], "case {i}");
        assert_eq!(server.codes(), [format!("write-image: {code}")], "case {i}");
        assert_eq!(
            bench.root_file("etc/machine-id"),
            "the image's",
            "case {i}: a later step was done"
        );
    }
}

#[tokio::test]
async fn a_refused_plan_writes_nothing() {
    let bench = Bench::new();
    let before = bench.disk(0, 21 << 20);
    bench.facts.lock().expect("facts")[0].serial = Some("another".into());
    let server = bench.server();
    let failure = execute(&bench.plan, &bench.credentials(), &bench.site(), &server)
        .await
        .expect_err("refused");
    assert_eq!(
        (failure.code.as_str(), failure.wrote, failure.step.as_str()),
        ("disk-missing", false, "plan")
    );
    assert_eq!(server.codes(), ["plan: disk-missing"]);
    assert!(bench.disk(0, 21 << 20) == before, "something was written");
}

#[tokio::test]
async fn the_disk_is_looked_at_again_right_before_the_first_write() {
    let bench = Bench::new();
    let before = bench.disk(0, 21 << 20);
    let (facts, looks) = (bench.facts.clone(), AtomicUsize::new(0));
    let look = move || {
        let mut disks = facts.lock().expect("facts").clone();
        if looks.fetch_add(1, Ordering::Relaxed) > 0 {
            // A second disk with the same serial number appears after the check.
            disks[1].serial = disks[0].serial.clone();
        }
        disks
    };
    let disks = [("sda".to_owned(), bench.path("disk"))].into();
    let site = Site::simulated(
        look,
        disks,
        bench.path("root"),
        bench.path("esp"),
        bench.path("agent"),
    );
    let failure = execute(&bench.plan, &bench.credentials(), &site, &bench.server())
        .await
        .expect_err("refused");
    assert_eq!(
        (failure.code.as_str(), failure.wrote, failure.step.as_str()),
        ("disk-ambiguous", false, "erase-disk")
    );
    assert!(bench.disk(0, 21 << 20) == before, "something was written");
}

#[tokio::test]
async fn a_disk_of_another_size_than_reported_is_not_written() {
    let bench = Bench::new();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(bench.path("disk"))
        .expect("opened");
    file.set_len(crate::bench::DISK - MIB).expect("sized");
    let failure = execute(&bench.plan, &bench.credentials(), &bench.site(), &bench.server())
        .await
        .expect_err("refused");
    assert_eq!((failure.code.as_str(), failure.wrote), ("disk-size", false));
}

#[tokio::test]
async fn an_image_with_hostile_symlinks_does_not_reach_outside() {
    let bench = Bench::new();
    let outside = bench.path("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("key.pem"), "mine").expect("written");
    symlink(&outside, bench.path("root/var/lib/slipway-agent")).expect("linked");
    symlink(outside.join("key.pem"), bench.path("root/etc/hostname")).expect("linked");
    symlink("../../outside/new", bench.path("root/etc/hosts")).expect("linked");
    let failure = execute(&bench.plan, &bench.credentials(), &bench.site(), &bench.server())
        .await
        .expect_err("refused");
    assert_eq!(
        (failure.step.as_str(), failure.code.as_str()),
        ("agent", "root-write")
    );
    assert_eq!(
        fs::read_to_string(outside.join("key.pem")).expect("there"),
        "mine"
    );
    assert_eq!(fs::read_dir(&outside).expect("listed").count(), 1);
    assert_eq!(bench.root_file("etc/hostname"), "web-1\n");
}

#[tokio::test]
async fn secrets_are_in_no_report() {
    let mut bench = Bench::new();
    // Makes the step with secrets fail: the image has no such shell.
    fs::remove_file(bench.path("root/bin/bash")).expect("removed");
    bench.plan.hostname = "web-1".into();
    let server = bench.server();
    let failure = execute(&bench.plan, &bench.credentials(), &bench.site(), &server)
        .await
        .expect_err("no shell");
    assert_eq!(
        (failure.step.as_str(), failure.code.as_str()),
        ("accounts", "accounts")
    );
    let told = format!(
        "{failure:?} {:?} {:?}",
        server.steps.lock().expect("steps"),
        bench.credentials()
    );
    assert!(
        !told.contains("$y$") && !told.contains("AAAAC3") && !told.contains("KEY"),
        "{told}"
    );
}
