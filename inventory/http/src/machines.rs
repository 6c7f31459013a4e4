//! Machines: lists, verbs, deployments and tasks.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::routing::post;
use http::request::Parts;
use inventory_api::machine::{Deployment, HistoryEntry, MachineFilter, MachineSummary, Verb};
use inventory_api::page::{Page, PageQuery};
use inventory_api::routes::{
    BURN_IN, CONFLICTS, DEPLOY, FIXED, GOLDEN, HISTORY, IDENTIFY, LOOKUP, MACHINE, MACHINES, Method, Older,
    PLAN, RECHECK, RESCUE, RESOLVE_CONFLICT, VERB,
};
use inventory_api::task::{Identify, Task};
use serde::Deserialize;

use crate::body::{Body, Nothing, Query, Sent};
use crate::problem::{Answer, ApiError};
use crate::routing::{Routes, change};
use crate::user::User;
use service::problem::problem;
use service::{Service, bad_query};

/// A deployment, with its scripts.
const DEPLOYMENT: usize = 1024 * 1024;

pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = routes
        .reads(LOOKUP, async |s, [key]| s.lookup(&key).await)
        .on(&MACHINES, machines)
        .reads(MACHINE, async |s, [key]| s.machine(&key).await)
        .on(&HISTORY, history)
        .reads(PLAN, async |s, [key]| s.plan(&key).await)
        .reads(CONFLICTS, async |s, [key]| s.conflicts(&key).await)
        .changes(RESOLVE_CONFLICT, async |s, actor, [key], Sent(decision)| {
            s.resolve_conflict(&key, &decision, &actor).await
        })
        .changes(RESCUE, async |s, actor, [key], Nothing| {
            s.make_rescue_password(&key, &actor).await
        })
        .changes(RECHECK, async |s, actor, [key], Nothing| {
            s.recheck(&key, &actor).await
        })
        .changes(FIXED, async |s, actor, [key], Sent(done)| {
            s.fixed(&key, &done.text, &actor).await
        })
        .changes(IDENTIFY, async |s, actor, [key], Sent(Identify { seconds })| {
            s.ask_task(&key, Task::Identify { seconds }, &actor).await
        })
        .changes(BURN_IN, async |s, actor, [key], Sent(request)| {
            s.ask_task(&key, Task::BurnIn { request }, &actor).await
        })
        .changes(GOLDEN, async |s, actor, [key], Sent(asked)| {
            s.golden(&key, &asked.name, asked.accept_unhealthy, &actor).await
        })
        .changes(
            DEPLOY,
            async |s, actor, [key], (DryRun(dry_run), Sent(deployment)): Deploy| {
                s.deploy(&key, deployment, dry_run, &actor).await
            },
        );
    let verbs = Verb::ALL.into_iter().filter(|verb| *verb != Verb::Deploy);
    let Routes(router) = verbs.fold(routes, verb);
    Routes(router.route(VERB.path, post(unknown_verb)))
}

async fn machines(
    State(service): State<Arc<Service>>,
    _: User,
    Query(filter): Query<MachineFilter>,
    Query(query): Query<PageQuery>,
) -> Answer<Page<MachineSummary>> {
    Ok(Json(service.machines(&filter, &query).await?.into()))
}

async fn history(
    State(service): State<Arc<Service>>,
    _: User,
    Path(key): Path<String>,
    Query(rows): Query<Older>,
    Query(query): Query<PageQuery>,
) -> Answer<Page<HistoryEntry>> {
    Ok(Json(service.history(&key, rows.before, &query).await?))
}

/// A verb that needs nothing but the machine.
fn verb(Routes(router): Routes, verb: Verb) -> Routes {
    let work = async move |service: Arc<Service>,
                           (User(actor), Path(key), DryRun(dry_run)): (_, Path<String>, _)| {
        if dry_run {
            return Err(bad_query("dry_run goes with deploy only"));
        }
        service.verb(&key, verb, &actor).await.map(Json)
    };
    let path = VERB.path.replace("{verb}", &verb.to_string());
    Routes(router.route(&path, change(Method::Post, work)))
}

async fn unknown_verb((_, Path((_, verb)), _): (User, Path<(String, String)>, DryRun)) -> ApiError {
    let shown: String = verb.chars().take(40).collect();
    let all = Verb::ALL.map(|verb| verb.to_string()).join(", ");
    let detail = format!("there is no verb {shown:?}; verbs are: {all}");
    problem(404, "verb-unknown", "No such verb", detail).into()
}

/// Whether only the plan is asked for: `?dry_run=1`.
struct DryRun(bool);

impl FromRequestParts<Arc<Service>> for DryRun {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<DryRun, ApiError> {
        #[derive(Deserialize)]
        struct Asked {
            dry_run: Option<String>,
        }
        let Query(Asked { dry_run }) = Query::from_request_parts(parts, service).await?;
        match dry_run.as_deref() {
            None | Some("0" | "false") => Ok(DryRun(false)),
            Some("1" | "true" | "") => Ok(DryRun(true)),
            Some(_) => Err(bad_query("dry_run is 1 or 0").into()),
        }
    }
}

/// A deployment, or the question what it would do.
type Deploy = (DryRun, Sent<Deployment, DEPLOYMENT>);

impl Body for Deploy {
    type Sent = Deployment;
}
