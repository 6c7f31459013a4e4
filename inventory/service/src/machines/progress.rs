//! Progress of an installation.

use inventory_api::agent::Progress;
use inventory_api::machine::StepStatus;
use inventory_api::plan::{InstallPlan, Step};
use lifecycle::State;
use lifecycle::state::DeployPhase;

/// The running step, if the state is installing this plan.
pub(crate) fn step_status(
    state: &State,
    plan: &InstallPlan,
    progress: Option<&Progress>,
) -> Option<StepStatus> {
    let State::Deploying(deploying) = state else {
        return None;
    };
    let DeployPhase::Installing { step, name } = &deploying.phase else {
        return None;
    };
    let index = step.unwrap_or(0);
    let (done, total) = progress
        .filter(|p| p.plan == plan.id && p.index == index)
        .map_or((0, 0), |p| (p.done_bytes.min(p.total_bytes), p.total_bytes));
    Some(StepStatus {
        index,
        count: plan.steps.len() as u32,
        name: name.clone().unwrap_or_else(|| "verify the plan".to_owned()),
        done_bytes: done,
        total_bytes: total,
        percent: percent(&plan.steps, step.is_some().then_some(index), done, total),
    })
}

/// Percentage of the whole plan. Writing the image dominates.
fn percent(steps: &[Step], index: Option<u32>, done: u64, total: u64) -> u8 {
    let Some(index) = index else { return 0 };
    let index = index as usize;
    let weights: Vec<u64> = steps.iter().map(weight).collect();
    let all: u64 = weights.iter().sum();
    if all == 0 {
        return 0;
    }
    let before: u64 = weights.iter().take(index).sum();
    let current = weights.get(index).copied().unwrap_or(0);
    // In thousandths, since byte counts times weights would overflow.
    let within = (u128::from(done) * 1000 / u128::from(total.max(1))).min(1000) as u64;
    ((before * 1000 + current * within) * 100 / (all * 1000)).min(100) as u8
}

fn weight(step: &Step) -> u64 {
    match step {
        Step::WriteImage { .. } => 80,
        Step::EraseDisk {} | Step::Bootloader { .. } => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_grows_and_ends_below_or_at_100() {
        let fstab = || Step::Fstab { mounts: vec![] };
        let steps = [Step::EraseDisk {}, fstab(), fstab(), Step::Finish {}];
        assert_eq!(percent(&steps, None, 5, 5), 0);
        let seen: Vec<u8> = (0..6).map(|i| percent(&steps, Some(i), 1, 2)).collect();
        assert!(seen.is_sorted() && *seen.last().unwrap() == 100, "{seen:?}");
        assert_eq!(percent(&steps, Some(0), u64::MAX, 1), 57);
        assert_eq!(percent(&[], Some(3), 1, 1), 0);
    }
}
