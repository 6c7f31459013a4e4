//! From a request to a plan: finds the image, makes ids, calls the pure planner.

use std::path::PathBuf;

use images::Image;
use inventory_api::check::{CheckResult, Severity, Verdict};
use inventory_api::deploy::DeployRequest;
use inventory_api::image::ImageManifest;
use inventory_api::plan::InstallPlan;
use inventory_api::report::AssetReport;
use inventory_api::text::with_causes;
use inventory_api::{MachineId, Problem, UnixMs};
use lifecycle::{FreshIds, PlanInput};

use crate::core::Core;
use crate::problem::{internal, problem};
use crate::secret;
use words::text::listed;

/// All images, sorted by name, newest first.
pub async fn list_images(core: &Core) -> Result<Vec<Image>, Problem> {
    let dir: PathBuf = core.config.images_dir.clone();
    let listing = tokio::task::spawn_blocking(move || images::list(&dir))
        .await
        .map_err(|e| internal(&e))?
        .map_err(|e| internal(&with_causes(&e)))?;
    for problem in &listing.problems {
        tracing::warn!(problem = with_causes(problem), "an image cannot be used");
    }
    Ok(listing.images)
}

/// The image of a request, as `name` (newest) or `name@version`.
async fn find_image(core: &Core, wanted: &str) -> Result<ImageManifest, Problem> {
    let (name, version) = match wanted.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (wanted, None),
    };
    let images = list_images(core).await?;
    let found = images
        .iter()
        .map(|i| &i.manifest)
        .filter(|m| m.name == name && version.is_none_or(|v| m.version == v))
        .max_by_key(|m| m.built_at);
    found.cloned().ok_or_else(|| {
        let known: Vec<_> = images
            .iter()
            .take(20)
            .map(|i| format!("{}@{}", i.manifest.name, i.manifest.version))
            .collect();
        let shown: String = wanted.chars().take(80).collect();
        problem(
            422,
            "image-unknown",
            "No such image",
            format!(
                "there is no image {shown:?}; images are: {}",
                listed(&known, "(none, build or import one)")
            ),
        )
    })
}

/// Plans a request for a machine that has reported.
pub async fn make_plan(
    core: &Core,
    machine: &MachineId,
    report: &AssetReport,
    request: &DeployRequest,
    now: UnixMs,
) -> Result<InstallPlan, Problem> {
    let image = find_image(core, &request.image).await?;
    let id = secret::plan_id().ok_or_else(|| internal(&"no plan id"))?;
    let ids = FreshIds::from_random(&random_bytes());
    let input = PlanInput {
        machine,
        report,
        image: &image,
        request,
        id: &id,
        ids: &ids,
        now,
    };
    lifecycle::plan(input).map_err(|e| problem(422, e.code(), "No plan can be made", e.to_string()))
}

fn random_bytes() -> [u8; 84] {
    let mut bytes = [0; 84];
    rand::fill(&mut bytes[..]);
    bytes
}

/// The gravest finding of a check as a sentence.
pub fn first_finding(check: &CheckResult) -> Option<String> {
    let first = check.findings.first()?;
    let errors = check
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .count();
    let more = if errors > 1 {
        format!(" ({} more)", errors - 1)
    } else {
        String::new()
    };
    // Most sentences name the place themselves.
    let place = match first.sentence.contains(&first.place) {
        true => String::new(),
        false => format!("{}: ", first.place),
    };
    Some(format!("{place}{}{more}", first.sentence))
}

/// Refuses a machine that failed its check.
pub fn refuse_failed(check: &CheckResult) -> Result<(), Problem> {
    match check.verdict {
        Verdict::Pass | Verdict::Warn => Ok(()),
        Verdict::Fail => Err(problem(
            409,
            "check-failed",
            "Not as expected",
            format!(
                "the machine's newest report is not what the request expects: {}",
                first_finding(check).unwrap_or_default()
            ),
        )),
    }
}
