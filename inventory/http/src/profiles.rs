//! Deployment profiles of the configuration.

use inventory_api::routes::PROFILES;

use crate::routing::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.lists(PROFILES, async |s, []| Ok(s.profiles()))
}
