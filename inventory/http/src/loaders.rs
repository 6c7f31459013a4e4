//! Journeys of NICs through the network boot, and the loaders that worked on them.

use inventory_api::routes::{FORGET_LOADER, FORGET_MODEL, JOURNEY, LOADERS};

use crate::body::Nothing;
use crate::routing::Routes;
use service::mac_of;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .reads(JOURNEY, async |s, [mac]| s.journey_of(&mac).await)
        .changes(FORGET_LOADER, async |s, actor, [mac], Nothing| {
            s.forget_loader(mac_of(&mac)?, &actor).await
        })
        .reads(LOADERS, async |s, []| Ok(s.loaders()))
        .changes(FORGET_MODEL, async |s, actor, [model], Nothing| {
            s.forget_model(&model, &actor).await
        })
}
