//! The agents' side: claim, report, assignment, step, progress, verification, image.

mod claim;
mod identity;
mod report;
mod steps;

use std::path::PathBuf;
use std::time::Duration;

use inventory_api::agent::{AssignmentResponse, Permission};
use inventory_api::plan::Step;
use inventory_api::{MachineId, Sha256Digest};
use lifecycle::AgentSession;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::Service;
use crate::machines::planning::image_of_digest;
use crate::problem::{Result, internal, problem};

/// Longest long poll for an assignment.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// An image that an agent may fetch.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// The compressed image.
    pub path: PathBuf,
}

/// Tells an agent to stop.
pub(crate) fn stop(why: impl Into<String>) -> Permission {
    Permission::Stop { message: why.into() }
}

impl Service {
    /// The assignment of an agent. Answers as soon as it differs from `seen`, after `wait`, or when the
    /// server stops.
    pub async fn assignment(
        &self,
        id: &MachineId,
        seen: Option<u64>,
        wait: Duration,
    ) -> Result<AssignmentResponse> {
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        let bell = self.core.memory.sessions.bell(id);
        loop {
            // Enabled before the state is read, so that a change in between still wakes us.
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            let now = self.assignment_now(id).await?;
            if seen != Some(now.seq) {
                return Ok(now);
            }
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep_until(until) => return Ok(now),
                () = self.core.stop.cancelled() => return Ok(now),
            }
        }
    }

    pub(crate) async fn assignment_now(&self, id: &MachineId) -> Result<AssignmentResponse> {
        let row = self.row(id).await?;
        let plan = self.plan_of(&row.state).await?;
        let session = self.core.memory.sessions.get(id);
        let assignment = lifecycle::assignment(
            &row.state,
            AgentSession {
                runs_on: session.runs_on,
                plan: plan.as_ref(),
                folded_into: row.folded_into.as_ref(),
            },
        );
        let assignment = self.with_task(id, assignment).await?;
        // The number is a digest of the assignment: it survives a restart and changes only with the
        // assignment.
        let text = serde_json::to_vec(&assignment).map_err(|e| internal(&e))?;
        let mut first = [0; 8];
        first.copy_from_slice(&Sha256::digest(&text)[..8]);
        // 53 bits, which every JSON reader holds exactly.
        let seq = u64::from_be_bytes(first) >> 11;
        Ok(AssignmentResponse { seq, assignment })
    }

    /// The image file, if the machine's current plan installs it; otherwise 404.
    pub async fn image_of_plan(&self, id: &MachineId, digest: Sha256Digest) -> Result<ImageFile> {
        let row = self.row(id).await?;
        let plan = self.plan_of(&row.state).await?;
        let wanted = plan.is_some_and(|plan| {
            plan.steps
                .iter()
                .any(|s| matches!(s, Step::WriteImage { source, .. } if source.sha256 == digest))
        });
        let image = match wanted {
            true => image_of_digest(&self.core, digest).await?,
            false => None,
        };
        let file = image.map(|image| ImageFile { path: image.path() });
        file.ok_or_else(|| {
            let detail = format!("the plan of machine {id} has no image {digest}");
            problem(404, "image-unknown", "No such image", detail)
        })
    }
}
