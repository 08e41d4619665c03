//! The caller's messages, the newest first.

use chrono::{DateTime, Utc};
use doorstep_core::ids::ScopeId;

use super::model::{Kept, MessageAbout, MessageView};
use crate::database::system_tx;
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult};
use crate::http::{Page, PageParams};
use crate::register::read;
use crate::state::AppState;

pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    paging: PageParams,
) -> ApiResult<Page<MessageView>> {
    let before: Option<(DateTime<Utc>, String)> = paging.after()?;
    let mut tx = system_tx(&state.pool).await?;
    let scope = ScopeId::User(actor.user);
    let rows = read::messages(&mut tx, scope, before, paging.rows()).await?;
    drop(tx);
    let page = paging.page(rows, |row| (row.changed_at, row.key.clone()), |row| row)?;
    let view = |row: read::MessageRow| {
        let kept: Kept = serde_json::from_str(&row.json).map_err(ApiError::internal)?;
        Ok(MessageView {
            about: about(&row.key, &kept),
            key: row.key,
            code: kept.code,
            text: kept.text,
            due: kept.due,
            at: row.changed_at,
        })
    };
    Ok(Page {
        items: page.items.into_iter().map(view).collect::<ApiResult<_>>()?,
        next: page.next,
    })
}

/// What a message leads to: its record, or what the last part of its key names.
fn about(key: &str, kept: &Kept) -> Option<MessageAbout> {
    let kind = kept.about.as_deref().unwrap_or("record");
    let id = match kind {
        "record" => kept.record,
        _ => key.rsplit('/').next().and_then(|id| id.parse().ok()),
    };
    Some(MessageAbout {
        kind: kind.to_owned(),
        id: id?,
    })
}
