//! The rack plan, and the machines that are checked again after it changed.

use std::num::ParseIntError;

use inventory_api::routes::{IMPORT_RACKS, RACK, RACKS, RECHECKS, REMOVE_PLACE, REMOVE_RACK};

use crate::body::Nothing;
use crate::import::Upload;
use crate::routing::Routes;
use files::import::Kind;
use service::problem::problem;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .lists(RACKS, async |s, []| s.racks().await)
        .changes(IMPORT_RACKS, async |s, actor, [], file: Upload| {
            s.import(Kind::Racks, &file.bytes, file.format, &actor).await
        })
        .reads(RACK, async |s, [room, rack]| s.rack(&room, &rack).await)
        .changes(REMOVE_RACK, async |s, actor, [room, rack], Nothing| {
            s.remove_places(&room, &rack, None, &actor).await
        })
        .changes(REMOVE_PLACE, async |s, actor, [room, rack, unit], Nothing| {
            let unit = unit.parse().map_err(|e: ParseIntError| {
                problem(
                    400,
                    "bad-unit",
                    "Height unit not usable",
                    format!("{unit:?}: {e}"),
                )
            })?;
            s.remove_places(&room, &rack, Some(unit), &actor).await
        })
        .reads(RECHECKS, async |s, []| s.rechecks().await)
}
