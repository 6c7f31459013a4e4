//! How a route is served: read, read as a list, or changed.

use std::sync::Arc;

use axum::extract::{FromRequest, Path, State};
use axum::handler::Handler;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Json, Router};
use inventory_api::Problem;
use inventory_api::page::{Page, PageQuery};
use inventory_api::routes::{Method, Route};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::{Body, Query};
use crate::problem::{Answer, ApiError};
use crate::user::User;
use service::{Actor, Listed, Service, page};

/// The routes of `/v1`.
pub(crate) struct Routes(pub(crate) Router<Arc<Service>>);

impl Routes {
    /// A route with a handler of its own, which must ask for a [`User`].
    pub(crate) fn on<const N: usize, B, A, M: 'static>(
        self,
        route: &Route<N, B, A>,
        handler: impl Handler<M, Arc<Service>>,
    ) -> Routes {
        Routes(self.0.route(route.path, on(filter(route.method), handler)))
    }

    /// One answer from the service.
    pub(crate) fn reads<const N: usize, T, F>(
        self,
        route: Route<N, (), T>,
        ask: impl FnOnce(Arc<Service>, [String; N]) -> F + Clone + Send + Sync + 'static,
    ) -> Routes
    where
        [String; N]: DeserializeOwned,
        T: Serialize + 'static,
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        self.on(
            &route,
            async move |State(service), _: User, Path(keys)| -> Answer<T> {
                Ok(Json(ask(service, keys).await?))
            },
        )
    }

    /// A list from the service, cut into pages.
    pub(crate) fn lists<const N: usize, T, F>(
        self,
        route: Route<N, (), Page<T>>,
        ask: impl FnOnce(Arc<Service>, [String; N]) -> F + Clone + Send + Sync + 'static,
    ) -> Routes
    where
        [String; N]: DeserializeOwned,
        T: Listed + Serialize + 'static,
        F: Future<Output = Result<Vec<T>, Problem>> + Send + 'static,
    {
        self.on(
            &route,
            async move |State(service),
                        _: User,
                        Path(keys),
                        Query(query): Query<PageQuery>|
                        -> Answer<Page<T>> { Ok(Json(page(ask(service, keys).await?, &query)?)) },
        )
    }

    /// A change.
    pub(crate) fn changes<const N: usize, B, T, F>(
        self,
        route: Route<N, B::Sent, T>,
        work: impl FnOnce(Arc<Service>, Actor, [String; N], B) -> F + Clone + Send + Sync + 'static,
    ) -> Routes
    where
        [String; N]: DeserializeOwned,
        B: Body + FromRequest<Arc<Service>> + Send + 'static,
        T: Serialize + Send + 'static,
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let work = move |service, (User(actor), Path(keys), body)| {
            let work = work(service, actor, keys, body);
            async move { work.await.map(Json) }
        };
        Routes(self.0.route(route.path, change(route.method, work)))
    }
}

/// Handler of a change. The service runs it to its end even if the client disconnects.
pub(crate) fn change<E, M: 'static, R, F>(
    method: Method,
    work: impl FnOnce(Arc<Service>, E) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Arc<Service>>
where
    E: FromRequest<Arc<Service>, M> + Send + 'static,
    R: IntoResponse + Send + 'static,
    F: Future<Output = Result<R, Problem>> + Send + 'static,
{
    on(
        filter(method),
        async move |State(service), asked: E| -> Result<R, ApiError> { Ok(work(service, asked).await?) },
    )
}

fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Delete => MethodFilter::DELETE,
    }
}
