//! The list of machines.

use inventory_api::UnixMs;
use inventory_api::machine::{MachineFilter, MachineSummary};
use inventory_api::page::{Page, PageQuery};

use crate::Service;
use crate::pages::{self, bad_query};
use crate::problem::{Result, internal};
use store::{Cursor, MachineCounts, MachineRow};

/// Longest search text, in characters.
const MAX_SEARCH: usize = 100;

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
    pub async fn machines(&self, filter: &MachineFilter, query: &PageQuery) -> Result<MachineList> {
        if filter.q.chars().count() > MAX_SEARCH {
            let detail = format!("q is longer than {MAX_SEARCH} characters: search for fewer words");
            return Err(bad_query(detail));
        }
        let limit = pages::limit(query)?;
        // A cursor is valid only with its filter.
        let list = serde_json::to_string(filter).map_err(|e| internal(&e))?;
        let cursor = match pages::place(query, &list)? {
            Some(place) => Some(cursor(&place).ok_or_else(pages::bad_token)?),
            None => None,
        };
        let store = &self.core.store;
        let mut rows = store.machine_page(filter, cursor.as_ref(), limit + 1).await?;
        let back = cursor.as_ref().is_some_and(|cursor| cursor.back);
        // One row more than shown was read, to learn whether another page follows.
        let beyond = rows.len() > limit as usize;
        if beyond {
            let extra = if back { 0 } else { rows.len() - 1 };
            rows.remove(extra);
        }
        let token = |row: Option<&MachineRow>, back: bool| {
            let direction = if back { "back" } else { "on" };
            let place = |row: &MachineRow| format!("{direction}.{}.{}", row.enrolled_at.0, row.id);
            row.map(|row| pages::token(&list, place(row)))
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
    pub async fn machine_counts(&self) -> Result<MachineCounts> {
        Ok(self.core.store.machine_counts().await?)
    }
}

fn cursor(place: &str) -> Option<Cursor> {
    let mut parts = place.splitn(3, '.');
    let back = match parts.next()? {
        "back" => true,
        "on" => false,
        _ => return None,
    };
    Some(Cursor {
        enrolled_at: UnixMs(parts.next()?.parse().ok()?),
        id: parts.next()?.parse().ok()?,
        back,
    })
}
