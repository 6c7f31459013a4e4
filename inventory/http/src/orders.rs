//! Purchase orders and how much of each was delivered.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use inventory_api::routes::{DELIVERY_CSV, IMPORT_ORDERS, ORDER, ORDERS, REMOVE_ORDER};

use crate::body::Nothing;
use crate::import::Upload;
use crate::problem::ApiError;
use crate::routing::Routes;
use crate::user::User;
use files::export;
use files::import::Kind;
use service::Service;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .lists(ORDERS, async |s, []| s.orders().await)
        .changes(IMPORT_ORDERS, async |s, actor, [], file: Upload| {
            s.import(Kind::Orders, &file.bytes, file.format, &actor).await
        })
        .reads(ORDER, async |s, [number]| s.order(&number).await)
        .changes(REMOVE_ORDER, async |s, actor, [number], Nothing| {
            s.remove_order(&number, &actor).await
        })
        .on(&DELIVERY_CSV, csv)
}

async fn csv(
    State(service): State<Arc<Service>>,
    _: User,
    Path(number): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let delivery = service.order(&number).await?;
    Ok((export::CSV_HEADERS, export::delivery(&delivery)))
}
