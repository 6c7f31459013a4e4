//! Lists in pages. A token names its list and the last item of the page before, so that adding or removing an
//! item between two pages does not shift the others.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use inventory_api::Problem;
use inventory_api::delivery::{OrderSummary, ProfileSummary, RackDelivery};
use inventory_api::image::ImageManifest;
use inventory_api::machine::Profile;
use inventory_api::network::NetworkStatus;
use inventory_api::page::{Page, PageQuery};
use inventory_api::parts::PartLife;

use crate::problem::{Result, problem};

/// Longest page token, in bytes.
const MAX_TOKEN: usize = 8192;

/// An item of a list that is read completely. The list is in the order of the keys, or its order never
/// changes.
pub trait Listed {
    /// Tells the item from all others of its list.
    fn key(&self) -> String;
}

macro_rules! listed {
    ($($item:ty: $key:expr;)*) => {$(
        impl Listed for $item {
            fn key(&self) -> String {
                let key: fn(&$item) -> String = $key;
                key(self)
            }
        }
    )*};
}

listed! {
    ImageManifest: |i| format!("{}\0{:016x}\0{}", i.name, i64::MAX.abs_diff(i.built_at.0), i.version);
    Profile: |p| p.name.clone();
    NetworkStatus: |n| n.name.clone();
    OrderSummary: |o| o.number.clone();
    RackDelivery: |r| format!("{}\0{}", r.room, r.rack);
    ProfileSummary: |p| p.name.clone();
    PartLife: |p| format!("{}\0{}\0{:?}\0{:?}", p.kind, p.serial, p.manufacturer, p.model);
}

/// One page of a list that was read completely.
pub fn page<T: Listed>(mut items: Vec<T>, query: &PageQuery) -> Result<Page<T>> {
    let limit = limit(query)? as usize;
    let list = std::any::type_name::<T>();
    if let Some(last) = place(query, list)? {
        let at = items.iter().rposition(|item| item.key() == last);
        // If it is gone, the page begins with what came after it.
        let next = at.map_or_else(|| items.partition_point(|item| item.key() < last), |at| at + 1);
        items.drain(..next);
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    Ok(Page {
        next_page: last.map(|last| token(list, last.key())),
        items,
    })
}

pub(crate) fn limit(query: &PageQuery) -> Result<u32> {
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

pub(crate) fn bad_token() -> Problem {
    problem(
        400,
        BAD_TOKEN,
        "Page token not usable",
        "page_token is not one of this list: send next_page of the page before, unchanged and with the same filter, or leave it \
         out to begin with the first page",
    )
}

/// The token for a place in a list. Hexadecimal, to discourage relying on its content.
pub(crate) fn token(list: &str, place: impl std::fmt::Display) -> String {
    hex::encode(format!("{}{place}", prefix(list)))
}

/// The place in this list that the query's token names. `None`: the first page is asked for.
pub(crate) fn place(query: &PageQuery, list: &str) -> Result<Option<String>> {
    let Some(token) = query.page_token.as_ref() else {
        return Ok(None);
    };
    let read = || {
        let text = String::from_utf8(hex::decode(token).ok()?).ok()?;
        Some(text.strip_prefix(&prefix(list))?.to_owned())
    };
    match read().filter(|_| token.len() <= MAX_TOKEN) {
        Some(place) => Ok(Some(place)),
        None => Err(bad_token()),
    }
}

fn prefix(list: &str) -> String {
    let mut hasher = DefaultHasher::new();
    list.hash(&mut hasher);
    format!("{:x}.", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(names: &[&str]) -> Vec<ProfileSummary> {
        let profile = |name: &&str| ProfileSummary {
            name: (*name).to_owned(),
            changed_at: inventory_api::UnixMs(0),
            machines: 0,
        };
        names.iter().map(profile).collect()
    }

    fn ask(names: &[&str], page_token: Option<String>) -> (String, Option<String>) {
        let limit = Some(2);
        let page = page(profiles(names), &PageQuery { limit, page_token }).unwrap();
        let names: Vec<String> = page.items.into_iter().map(|p| p.name).collect();
        (names.join(" "), page.next_page)
    }

    #[test]
    fn a_list_that_changes_between_two_pages_skips_and_repeats_nothing() {
        let (first, next) = ask(&["b", "d", "f", "h"], None);
        assert_eq!(first, "b d");
        let cases: [(&[&str], &str); 5] = [
            (&["b", "d", "f", "h"], "f h"),
            (&["d", "f", "h"], "f h"),
            (&["b", "f", "h"], "f h"),
            (&["a", "b", "c", "d", "e", "f", "h"], "e f"),
            (&["b", "d"], ""),
        ];
        for (now, rest) in cases {
            assert_eq!(ask(now, next.clone()).0, rest, "{now:?}");
        }
        assert_eq!(ask(&["b", "d", "f"], next).1, None);
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let page_token = ask(&["b", "d", "f"], None).1;
        let query = PageQuery {
            limit: None,
            page_token,
        };
        let refused = page::<OrderSummary>(vec![], &query).unwrap_err();
        assert_eq!(refused.code, BAD_TOKEN);
    }
}
