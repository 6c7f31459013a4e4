//! Images that can be installed.

use inventory_api::routes::IMAGES;

use crate::routing::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.lists(IMAGES, async |s, []| s.images().await)
}
