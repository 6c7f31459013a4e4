//! Lists, page by page.

use serde::{Deserialize, Serialize};

/// A page of a list: the answer to every `GET` of a list under `/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// The `page_token` of the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page: Option<String>,
}

/// Which page of a list: the query of every `GET` of a list under `/v1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PageQuery {
    /// Items on a page: 1 to [`PageQuery::MAX_LIMIT`], [`PageQuery::DEFAULT_LIMIT`] if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_page` of the page before, unchanged; absent for the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

impl PageQuery {
    /// Items on a page if the query does not say.
    pub const DEFAULT_LIMIT: u32 = 100;
    /// No page is longer.
    pub const MAX_LIMIT: u32 = 1000;
}
