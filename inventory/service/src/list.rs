//! Lists in pages.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use inventory_api::machine::{MachineFilter, MachineSummary};
use inventory_api::page::{Page, PageQuery};
use inventory_api::{Problem, UnixMs};

use super::Service;
use crate::problem::problem;
use store::{Cursor, MachineCounts, MachineRow};

/// Longest search text, in characters.
const MAX_SEARCH: usize = 100;
/// Longest page token, in bytes. A machine id has at most 64.
const MAX_TOKEN: usize = 256;

/// A page of machines, with the tokens of its neighbours.
#[derive(Debug)]
pub struct MachineList {
    /// The machines, newest enrolled first.
    pub machines: Vec<MachineSummary>,
    /// Token of the next page.
    pub next: Option<String>,
    /// Token of the previous page.
    pub previous: Option<String>,
}

impl From<MachineList> for Page<MachineSummary> {
    fn from(page: MachineList) -> Page<MachineSummary> {
        Page {
            items: page.machines,
            next_page: page.next,
        }
    }
}

impl Service {
    /// A page of the machines that match a filter, newest enrolled first.
    pub async fn machines(&self, filter: &MachineFilter, query: &PageQuery) -> Result<MachineList, Problem> {
        if filter.q.chars().count() > MAX_SEARCH {
            let detail = format!("q is longer than {MAX_SEARCH} characters: search for fewer words");
            return Err(bad_query(detail));
        }
        let limit = limit(query)?;
        let list = list_of(filter);
        let cursor = match &query.page_token {
            Some(token) => Some(cursor(token, list).ok_or_else(bad_token)?),
            None => None,
        };
        let mut rows = self
            .core
            .store
            .machine_page(filter, cursor.as_ref(), limit + 1)
            .await?;
        let back = cursor.as_ref().is_some_and(|cursor| cursor.back);
        // One row more than shown was read, to learn whether another page follows.
        let beyond = rows.len() > limit as usize;
        if beyond {
            let extra = if back { 0 } else { rows.len() - 1 };
            rows.remove(extra);
        }
        let token = |row: Option<&MachineRow>, back: bool| {
            let cursor = |row: &MachineRow| Cursor {
                enrolled_at: row.enrolled_at,
                id: row.id.clone(),
                back,
            };
            row.map(|row| token(&cursor(row), list))
        };
        if back && !beyond {
            // Back at the start: the first page, with what has been added since.
            let first = PageQuery {
                page_token: None,
                ..query.clone()
            };
            return Box::pin(self.machines(filter, &first)).await;
        }
        let (next, previous) = if back {
            (true, beyond)
        } else {
            (beyond, cursor.is_some())
        };
        Ok(MachineList {
            next: token(rows.last(), false).filter(|_| next),
            previous: token(rows.first(), true).filter(|_| previous),
            machines: self.summaries(rows).await?,
        })
    }

    /// Number of machines by state.
    pub async fn machine_counts(&self) -> Result<MachineCounts, Problem> {
        Ok(self.core.store.machine_counts().await?)
    }
}

/// One page of a list that was read completely.
pub fn page<T>(items: Vec<T>, query: &PageQuery) -> Result<Page<T>, Problem> {
    let limit = limit(query)? as usize;
    let from = match &query.page_token {
        Some(token) => decoded(token)
            .and_then(|text| text.strip_prefix("at.")?.parse().ok())
            .ok_or_else(bad_token)?,
        None => 0_usize,
    };
    let next = from.saturating_add(limit);
    Ok(Page {
        next_page: (next < items.len()).then(|| encoded(&format!("at.{next}"))),
        items: items.into_iter().skip(from).take(limit).collect(),
    })
}

/// A page of a history. `rows` are the newest before its token, oldest first; the next page has older ones.
pub(super) fn older<T>(rows: Vec<T>, limit: u32, first: impl Fn(&T) -> i64) -> Page<T> {
    let oldest = rows
        .first()
        .map(first)
        .filter(|seq| *seq > 1 && rows.len() >= limit as usize);
    Page {
        next_page: oldest.map(|seq| encoded(&format!("before.{seq}"))),
        items: rows,
    }
}

/// The history row that a token of [`older`] names.
pub(super) fn before(query: &PageQuery) -> Result<Option<i64>, Problem> {
    let seq = |token: &String| decoded(token)?.strip_prefix("before.")?.parse().ok();
    query
        .page_token
        .as_ref()
        .map(|token| seq(token).ok_or_else(bad_token))
        .transpose()
}

pub(super) fn limit(query: &PageQuery) -> Result<u32, Problem> {
    let limit = query.limit.unwrap_or(PageQuery::DEFAULT_LIMIT);
    if (1..=PageQuery::MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(bad_query(format!("limit is 1 to {}", PageQuery::MAX_LIMIT)))
}

/// The problem for an unusable query.
pub fn bad_query(detail: impl Into<String>) -> Problem {
    problem(400, "bad-query", "Query not usable", detail)
}

/// Problem code for a page token that is not valid, or no longer.
pub const BAD_TOKEN: &str = "bad-page-token";

fn bad_token() -> Problem {
    problem(
        400,
        BAD_TOKEN,
        "Page token not usable",
        "page_token is not one of this list: send next_page of the page before, unchanged and with the same filter, or leave it \
         out to begin with the first page",
    )
}

/// Identifies the filter of a list: a cursor is valid only in its own list.
fn list_of(filter: &MachineFilter) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(filter)
        .unwrap_or_default()
        .hash(&mut hasher);
    hasher.finish()
}

fn token(cursor: &Cursor, list: u64) -> String {
    let direction = if cursor.back { "back" } else { "on" };
    encoded(&format!(
        "{direction}.{list:x}.{}.{}",
        cursor.enrolled_at.0, cursor.id
    ))
}

fn cursor(token: &str, list: u64) -> Option<Cursor> {
    let text = decoded(token)?;
    let mut parts = text.splitn(4, '.');
    let back = match parts.next()? {
        "back" => true,
        "on" => false,
        _ => return None,
    };
    if parts.next()? != format!("{list:x}") {
        return None;
    }
    Some(Cursor {
        enrolled_at: UnixMs(parts.next()?.parse().ok()?),
        id: parts.next()?.parse().ok()?,
        back,
    })
}

/// Hexadecimal, to discourage relying on a token's content.
fn encoded(text: &str) -> String {
    hex::encode(text)
}

fn decoded(token: &str) -> Option<String> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    String::from_utf8(hex::decode(token).ok()?).ok()
}
