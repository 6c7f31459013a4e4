use super::*;

struct Room {
    temperature: Option<f64>,
    corrected: AtomicU64,
    step: u64,
}

impl Gauges for Room {
    fn temperature(&self) -> Option<f64> {
        self.temperature
    }
    fn corrected_errors(&self) -> Option<u64> {
        Some(self.corrected.fetch_add(self.step, Ordering::Relaxed))
    }
    fn available_bytes(&self) -> Option<u64> {
        Some(96 << 20)
    }
}

fn room() -> Room {
    Room {
        temperature: Some(61.0),
        corrected: AtomicU64::new(3),
        step: 0,
    }
}

fn disk(bytes: u64) -> (tempfile::NamedTempFile, Disk) {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(bytes).unwrap();
    let disk = Disk {
        name: "S1".into(),
        device: file.path().to_owned(),
    };
    (file, disk)
}

const SHORT: BurnInRequest = BurnInRequest {
    cpu_seconds: 1,
    memory_seconds: 1,
    memory_percent: 70,
    disk_seconds: 1,
    max_temperature_c: Some(90.0),
    min_disk_mb_per_s: None,
    max_corrected_errors: 0,
};

#[test]
fn a_sound_machine_passes_and_progress_rises() {
    let (_file, disk) = disk(8 << 20);
    let mut told = Vec::new();
    let result = run(&SHORT, &[disk], &room(), Arc::default(), &mut |p| told.push(p));
    assert!(result.passed, "{result:#?}");
    let names: Vec<&str> = result.parts.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["cpu", "memory", "disk S1"]);
    assert!(
        result.parts.iter().all(|p| p.score.is_some_and(|s| s > 0.0)),
        "{result:#?}"
    );
    assert!(result.parts.iter().all(|p| p.max_temperature_c == Some(61.0)));
    assert!(told.is_sorted_by_key(|p| p.percent) && told.last().is_some_and(|p| p.percent > 60));
}

#[test]
fn each_threshold_is_its_own_reason() {
    let (_file, disk) = disk(8 << 20);
    let only_disk = BurnInRequest {
        cpu_seconds: 0,
        memory_seconds: 0,
        ..SHORT
    };
    let judged = |request: &BurnInRequest, room: &Room| {
        let result = run(
            request,
            std::slice::from_ref(&disk),
            room,
            Arc::default(),
            &mut |_| {},
        );
        assert!(!result.passed);
        result.parts[0].detail.clone()
    };
    let cold = BurnInRequest {
        max_temperature_c: Some(60.0),
        ..only_disk.clone()
    };
    assert!(judged(&cold, &room()).starts_with("61 C, at most 60 C allowed: "));
    let fast = BurnInRequest {
        min_disk_mb_per_s: Some(1e9),
        ..only_disk.clone()
    };
    assert!(judged(&fast, &room()).contains("at least 1000000000 MB/s required"));
    let failing = Room { step: 2, ..room() };
    assert!(judged(&only_disk, &failing).starts_with("2 corrected memory errors, at most 0 allowed"));
}

#[test]
fn a_disk_that_cannot_be_read_fails_and_the_others_are_read() {
    let (_file, good) = disk(8 << 20);
    let gone = Disk {
        name: "S2".into(),
        device: "/nonexistent/disk".into(),
    };
    let only_disk = BurnInRequest {
        cpu_seconds: 0,
        memory_seconds: 0,
        ..SHORT
    };
    let result = run(&only_disk, &[gone, good], &room(), Arc::default(), &mut |_| {});
    assert!(
        !result.passed && !result.parts[0].passed && result.parts[1].passed,
        "{result:#?}"
    );
    assert!(result.parts[0].detail.contains("opening /nonexistent/disk"));
}

#[test]
fn a_stopped_burn_in_ends_early_and_does_not_pass() {
    let stop = Arc::new(AtomicBool::new(false));
    let long = BurnInRequest {
        cpu_seconds: 600,
        memory_seconds: 600,
        disk_seconds: 600,
        ..SHORT
    };
    let (_file, disk) = disk(8 << 20);
    let result = run(&long, &[disk], &room(), stop.clone(), &mut |_| {
        stop.store(true, Ordering::Relaxed)
    });
    assert!(!result.passed, "{result:#?}");
    assert!(result.parts[0].detail.contains("stopped early"));
}

#[test]
fn a_request_is_checked() {
    assert_eq!(BurnInRequest::default().check(), Ok(()));
    let nothing = BurnInRequest {
        cpu_seconds: 0,
        memory_seconds: 0,
        disk_seconds: 0,
        ..SHORT
    };
    assert!(nothing.check().unwrap_err().contains("nothing to do"));
    let all = BurnInRequest {
        memory_percent: 100,
        ..SHORT
    };
    assert_eq!(all.check().unwrap_err(), "memory_percent is 100, 1 to 95");
}
