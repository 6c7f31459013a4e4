//! Queries all disks in parallel, with one time limit for all.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::super::Problems;
use super::super::roots::Roots;
use super::Seen;
use super::ask::{Answer, ask};

/// Time limit for the disks' answers; each ioctl has a shorter timeout of its own.
const ANSWER_TIME: Duration = Duration::from_secs(12);
/// Disks queried at the same time.
const ASKED_AT_ONCE: usize = 32;

/// Queries every disk that needs it, many at a time, because a dying disk does not answer and must not block
/// the others. Disks without an answer in time are abandoned and reported.
pub(super) fn ask_all(roots: &Roots, seen: &[Seen], problems: &mut Problems) -> Vec<Answer> {
    let work: Vec<_> = seen
        .iter()
        .enumerate()
        .filter_map(|(number, seen)| {
            let (device, known) = (roots.dev(&seen.facts.name), seen.ata.clone());
            let block = u64::from(seen.facts.logical_block_bytes.unwrap_or(512));
            Some((number, device, seen.questions.clone()?, known, block))
        })
        .collect();
    let mut answers: Vec<Answer> = seen.iter().map(|_| Answer::default()).collect();
    let mut open: BTreeSet<usize> = work.iter().map(|(number, ..)| *number).collect();
    let (sender, receiver) = mpsc::channel();
    let threads = work.len().min(ASKED_AT_ONCE);
    let work = Arc::new(Mutex::new(work.into_iter()));
    for _ in 0..threads {
        let (work, sender) = (Arc::clone(&work), sender.clone());
        let ask_next = move || {
            loop {
                let next = work.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((number, device, questions, known, block)) = next else {
                    return;
                };
                let answer = ask(&device, &questions, known, block);
                if sender.send((number, answer)).is_err() {
                    return;
                }
            }
        };
        // If a thread cannot start, the others query its disks, or they are reported as not answering.
        let _ = std::thread::Builder::new()
            .name("report-disk".to_owned())
            .spawn(ask_next);
    }
    drop(sender);
    let deadline = Instant::now() + ANSWER_TIME;
    while !open.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok((number, answer)) = receiver.recv_timeout(left) else {
            break;
        };
        open.remove(&number);
        match answer {
            Ok(answer) => answers[number] = answer,
            Err(e) => problems.note(format_args!(
                "/dev/{}: querying identity and health: {e}",
                seen[number].facts.name
            )),
        }
    }
    for number in open {
        problems.note(format_args!(
            "/dev/{}: querying identity and health: no answer after {} s",
            seen[number].facts.name,
            ANSWER_TIME.as_secs()
        ));
    }
    answers
}
