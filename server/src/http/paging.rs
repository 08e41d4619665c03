//! Pages of a list: a limit and an opaque cursor that names the last item seen, so that rows added
//! or removed meanwhile neither double nor skip any.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::{ApiError, ApiResult, Kind};

const DEFAULT_LIMIT: u32 = 50;
const LARGEST_LIMIT: u32 = 500;

/// What a caller asks of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// Items at most, 1 to 500; 50 unless told.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give it back as `cursor` for the next page; none at the end.
    pub next: Option<String>,
}

impl PageParams {
    /// Items to show at most.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::from(self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, LARGEST_LIMIT))
    }

    /// Rows to read: one more than shown tells whether there is a next page.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.limit() + 1
    }

    /// The key of the last item seen.
    ///
    /// # Errors
    /// When the cursor is not one that we gave.
    pub fn after<K: DeserializeOwned>(&self) -> ApiResult<Option<K>> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let wrong = || {
            ApiError::new(
                Kind::Malformed,
                "malformed_cursor",
                "翻页位置无效，请从第一页重新查询",
            )
        };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|_| wrong())
    }

    /// Cuts the rows read (`rows()` at most) to a page; `key` gives an item's place in the order.
    ///
    /// # Errors
    /// When a key can't be written as JSON.
    pub fn page<R, T, K: Serialize>(
        &self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> K,
        view: impl Fn(R) -> T,
    ) -> ApiResult<Page<T>> {
        let limit = usize::try_from(self.limit()).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = match rows.last().filter(|_| more) {
            Some(last) => {
                let bytes = serde_json::to_vec(&key(last)).map_err(ApiError::internal)?;
                Some(URL_SAFE_NO_PAD.encode(bytes))
            }
            None => None,
        };
        Ok(Page {
            items: rows.into_iter().map(view).collect(),
            next,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    #[test]
    fn pages_follow_one_another_without_gap_or_overlap() {
        let all: Vec<i64> = (0..7).collect();
        let mut seen = Vec::new();
        let mut params = PageParams {
            limit: Some(3),
            cursor: None,
        };
        loop {
            let after: Option<i64> = params.after().unwrap();
            let rows: Vec<i64> = all
                .iter()
                .copied()
                .filter(|n| after.is_none_or(|last| *n > last))
                .take(usize::try_from(params.rows()).unwrap())
                .collect();
            let page = params.page(rows, |n| *n, |n| n).unwrap();
            seen.extend(page.items);
            match page.next {
                Some(next) => params.cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_made_up_cursor_is_refused() {
        let params = PageParams {
            limit: None,
            cursor: Some("!!".into()),
        };
        assert_eq!(params.after::<i64>().unwrap_err().code, "malformed_cursor");
    }
}
