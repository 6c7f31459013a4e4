//! Hardware profiles, and the machines that are checked against one.

use inventory_api::routes::{
    HARDWARE_PROFILE, HARDWARE_PROFILES, IMPORT_HARDWARE_PROFILES, PROFILE_MACHINES, REMOVE_HARDWARE_PROFILE,
};

use crate::body::Nothing;
use crate::import::Upload;
use crate::routing::Routes;
use files::import::Kind;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .lists(HARDWARE_PROFILES, async |s, []| s.hardware_profiles().await)
        .changes(IMPORT_HARDWARE_PROFILES, async |s, actor, [], file: Upload| {
            s.import(Kind::Profiles, &file.bytes, file.format, &actor).await
        })
        .reads(HARDWARE_PROFILE, async |s, [name]| {
            s.hardware_profile(&name).await
        })
        .changes(REMOVE_HARDWARE_PROFILE, async |s, actor, [name], Nothing| {
            s.remove_hardware_profile(&name, &actor).await
        })
        .reads(PROFILE_MACHINES, async |s, [name]| {
            s.profile_machines(&name).await
        })
}
