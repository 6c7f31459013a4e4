//! All disks asked at once, none waited for longer than the time that all have.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::super::Problems;
use super::super::roots::Roots;
use super::Seen;
use super::ask::{Answer, ask};

/// How long the disks may take to answer; the ioctls inside have shorter limits of their own.
const ANSWER_TIME: Duration = Duration::from_secs(12);
/// Disks asked at the same time.
const ASKED_AT_ONCE: usize = 32;

/// Asks every disk that has questions, many at a time: a dying one does not answer, and must not take the others with it.
/// What has not answered in time is left behind and said so.
pub(super) fn ask_all(roots: &Roots, seen: &[Seen], problems: &mut Problems) -> Vec<Answer> {
    let work: Vec<_> = seen
        .iter()
        .enumerate()
        .filter_map(|(number, seen)| {
            let block = u64::from(seen.facts.logical_block_bytes.unwrap_or(512));
            Some((
                number,
                roots.dev(&seen.facts.name),
                seen.questions.clone()?,
                seen.ata.clone(),
                block,
            ))
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
                if sender
                    .send((number, ask(&device, &questions, known, block)))
                    .is_err()
                {
                    return;
                }
            }
        };
        // Without a thread its disks are asked by the others, or said not to have answered.
        let _ = std::thread::Builder::new()
            .name("report-disk".to_owned())
            .spawn(ask_next);
    }
    drop(sender);
    let deadline = Instant::now() + ANSWER_TIME;
    while !open.is_empty() {
        let Ok((number, answer)) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        else {
            break;
        };
        open.remove(&number);
        match answer {
            Ok(answer) => answers[number] = answer,
            Err(e) => problems.note(format_args!(
                "/dev/{}: asked for its identity and health: {e}",
                seen[number].facts.name
            )),
        }
    }
    for number in open {
        problems.note(format_args!(
            "/dev/{}: asked for its identity and health: no answer after {} s",
            seen[number].facts.name,
            ANSWER_TIME.as_secs()
        ));
    }
    answers
}
