//! Which disk. Never "the next best": exactly one must be left, and it must be told from all others for sure.

use inventory_api::deploy::DiskChoice;
use inventory_api::plan::DiskTarget;
use inventory_api::report::DiskFacts;

use super::PlanError;
use crate::check::{bytes, transport_name};

/// Chooses. `needed`: bytes that the layout takes.
pub(super) fn choose(
    choice: Option<&DiskChoice>,
    disks: &[DiskFacts],
    needed: u64,
    image: &str,
) -> Result<DiskTarget, PlanError> {
    // Sticks, virtual media and write-protected disks are never meant.
    let usable: Vec<&DiskFacts> = disks
        .iter()
        .filter(|d| d.removable != Some(true) && d.read_only != Some(true) && d.size_bytes.unwrap_or(0) > 0)
        .collect();
    if usable.is_empty() {
        return Err(PlanError::NoDisk);
    }
    let named = choice.is_some_and(|c| {
        c != &DiskChoice {
            smallest: c.smallest,
            ..Default::default()
        }
    });
    let mut left: Vec<&DiskFacts> = usable
        .iter()
        .copied()
        .filter(|d| choice.is_none_or(|c| fits(c, d)))
        .collect();
    if left.is_empty() {
        return Err(PlanError::DiskNotFound {
            wanted: choice.map_or(String::new(), in_words),
            found: list(&usable),
        });
    }
    // A disk that is asked for by name and too small is an error of its own; without a name it is not a candidate.
    if !named && left.len() > 1 {
        let large: Vec<_> = left
            .iter()
            .copied()
            .filter(|d| d.size_bytes.unwrap_or(0) >= needed)
            .collect();
        if !large.is_empty() {
            left = large;
        }
    }
    if left.len() > 1 && choice.is_some_and(|c| c.smallest) {
        let least = left.iter().filter_map(|d| d.size_bytes).min();
        left.retain(|d| d.size_bytes == least);
    }
    let [disk] = left.as_slice() else {
        return Err(PlanError::DiskAmbiguous { found: list(&left) });
    };
    let size_bytes = disk.size_bytes.unwrap_or(0);
    if size_bytes < needed {
        return Err(PlanError::DiskTooSmall {
            name: disk.name.clone(),
            size: size_bytes,
            needed,
            image: image.to_owned(),
        });
    }
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    let shared = disks
        .iter()
        .filter(|d| d.name != disk.name)
        .any(|d| same(&d.serial, &disk.serial) && (disk.wwn.is_none() || d.wwn == disk.wwn));
    if shared || (disk.serial.is_none() && disk.wwn.is_none()) {
        return Err(PlanError::DiskNoIdentity {
            name: disk.name.clone(),
        });
    }
    let block_bytes = disk.logical_block_bytes.unwrap_or(512);
    if !block_bytes.is_power_of_two() || !(512..=65536).contains(&block_bytes) {
        return Err(PlanError::BadRequest {
            field: format!("disk {}", disk.name),
            why: format!("it reports blocks of {block_bytes} bytes"),
        });
    }
    Ok(DiskTarget {
        serial: disk.serial.clone(),
        wwn: disk.wwn.clone(),
        model: disk.model.clone(),
        size_bytes,
        block_bytes,
    })
}

fn fits(choice: &DiskChoice, disk: &DiskFacts) -> bool {
    let same = |wanted: &Option<String>, found: &Option<String>| {
        wanted.as_deref().is_none_or(|w| {
            found
                .as_deref()
                .is_some_and(|f| f.trim().eq_ignore_ascii_case(w.trim()))
        })
    };
    same(&choice.serial, &disk.serial)
        && same(&choice.wwn, &disk.wwn)
        && choice.model.as_deref().is_none_or(|w| {
            disk.model
                .as_deref()
                .is_some_and(|m| m.to_lowercase().contains(&w.to_lowercase()))
        })
        && choice
            .min_bytes
            .is_none_or(|min| disk.size_bytes.is_some_and(|s| s >= min))
        && choice
            .max_bytes
            .is_none_or(|max| disk.size_bytes.is_some_and(|s| s <= max))
}

fn in_words(choice: &DiskChoice) -> String {
    let mut words = Vec::new();
    if let Some(serial) = &choice.serial {
        words.push(format!("serial {serial}"));
    }
    if let Some(wwn) = &choice.wwn {
        words.push(format!("WWN {wwn}"));
    }
    if let Some(model) = &choice.model {
        words.push(format!("model {model}"));
    }
    if let Some(min) = choice.min_bytes {
        words.push(format!("at least {}", bytes(min)));
    }
    if let Some(max) = choice.max_bytes {
        words.push(format!("at most {}", bytes(max)));
    }
    words.join(", ")
}

fn list(disks: &[&DiskFacts]) -> String {
    let one = |d: &&DiskFacts| {
        let mut words = vec![d.name.clone()];
        words.extend(d.transport.map(|t| transport_name(t).to_owned()));
        words.extend(d.model.clone());
        words.extend(d.size_bytes.map(bytes));
        words.push(format!("serial {}", d.serial.as_deref().unwrap_or("none")));
        words.join(" ")
    };
    disks.iter().map(one).collect::<Vec<_>>().join("; ")
}
