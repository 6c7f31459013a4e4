//! Parts with a serial number.

use inventory_api::routes::PARTS;

use crate::routing::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.lists(PARTS, async |s, [serial]| s.parts(&serial).await)
}
