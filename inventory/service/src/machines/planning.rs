//! From a request to a plan: finds the image, makes ids, calls the pure planner.

use images::Image;
use inventory_api::deploy::DeployRequest;
use inventory_api::image::ImageManifest;
use inventory_api::plan::InstallPlan;
use inventory_api::report::AssetReport;
use inventory_api::text::with_causes;
use inventory_api::{MachineId, Sha256Digest, UnixMs};
use lifecycle::{FreshIds, PlanInput};

use crate::core::Core;
use crate::problem::{Result, internal, problem, quoted};
use crate::secret;
use words::text::listed;

/// All images, sorted by name, newest first.
pub(crate) async fn list_images(core: &Core) -> Result<Vec<Image>> {
    let dir = core.config.images_dir.clone();
    let listing = tokio::task::spawn_blocking(move || images::list(&dir))
        .await
        .map_err(|e| internal(&e))?
        .map_err(|e| internal(&with_causes(&e)))?;
    for problem in &listing.problems {
        tracing::warn!(problem = with_causes(problem), "an image cannot be used");
    }
    Ok(listing.images)
}

/// The image whose compressed file has this digest.
pub(crate) async fn image_of_digest(core: &Core, digest: Sha256Digest) -> Result<Option<Image>> {
    let images = list_images(core).await?;
    Ok(images.into_iter().find(|i| i.manifest.sha256 == digest))
}

/// The image of a request, as `name` (newest) or `name@version`.
async fn find_image(core: &Core, wanted: &str) -> Result<ImageManifest> {
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
        let (wanted, known) = (quoted(wanted), listed(&known, "(none, build or import one)"));
        let detail = format!("there is no image {wanted}; images are: {known}");
        problem(422, "image-unknown", "No such image", detail)
    })
}

/// Plans a request for a machine that has reported.
pub(crate) async fn make_plan(
    core: &Core,
    machine: &MachineId,
    report: &AssetReport,
    request: &DeployRequest,
    now: UnixMs,
) -> Result<InstallPlan> {
    let image = find_image(core, &request.image).await?;
    let id = secret::plan_id().ok_or_else(|| internal(&"no plan id"))?;
    let mut random = [0; 84];
    rand::fill(&mut random[..]);
    let ids = FreshIds::from_random(&random);
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
