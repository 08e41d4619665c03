//! Giving an item to someone who may take every decision that it offers, and setting its due time.

use doorstep_core::ids::{ConflictId, UserId};
use serde_json::json;

use super::case::{self, Case};
use super::decide::messages;
use super::decisions::Assign;
use super::model::ConflictView;
use super::{deciders, list, store};
use crate::database::system_tx;
use crate::domains::audit::{self, Entry};
use crate::domains::auth::Actor;
use crate::error::{ApiError, ApiResult, Problems};
use crate::register::{self, Told};
use crate::state::AppState;

/// Gives an item to a user, or takes it back.
pub(super) async fn assign(
    state: &AppState,
    actor: &Actor,
    id: ConflictId,
    input: Assign,
    unchanged: impl FnOnce(&str) -> ApiResult<()>,
) -> ApiResult<ConflictView> {
    let now = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    let found = case::find_to_decide(&mut tx, actor, id).await?;
    let case = Case::lock(&mut tx, state, &found, &[]).await?;
    unchanged(&case.row.version.to_string())?;
    if case.row.status != "open" {
        return Err(ApiError::conflict(
            "already_decided",
            "这个事项已经裁决过了，请刷新列表",
        ));
    }
    let mut problems = Problems::default();
    if let Some(assignee) = input.assignee {
        let deciders = deciders::who_may(&mut tx, state, &case).await?;
        problems.require(
            deciders.contains(&UserId(assignee)),
            "assignee",
            "may_not_decide",
            "这个用户没有作出全部裁决所需的权限，请从可裁决的人中选择",
        );
    }
    problems.require(
        input.due_at.is_none_or(|due| due > now),
        "due_at",
        "past",
        "办理期限应在现在之后",
    );
    problems.finish()?;
    let due = input.due_at.unwrap_or(case.row.due_at);
    store::assign(&mut tx, id.0, input.assignee, due, actor.user.0, now).await?;
    let sent = match input.assignee {
        Some(assignee) if assignee != actor.user.0 => {
            let text = format!(
                "有一项「{}」分派给您裁决，请在期限前办理。",
                list::kind_label(&case.row.kind)
            );
            let told = [(UserId(assignee), text)].into();
            let states = messages(state, &case, "conflict_assigned", told);
            register::append_states(&mut tx, states, now).await?
        }
        _ => Told::default(),
    };
    let row = store::find(&mut tx, id.0)
        .await?
        .ok_or_else(|| ApiError::not_found("这个待裁决事项"))?;
    let items = list::views(state, &mut tx, &[row]).await?;
    let item = items
        .into_iter()
        .next()
        .ok_or_else(|| ApiError::not_found("这个待裁决事项"))?;
    let entry = Entry::by(actor, now, audit::Action::AssignConflict)
        .subject("conflict", id)
        .area(item.area)
        .detail(json!({ "assignee": input.assignee, "due_at": due }));
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    sent.to(&state.hub);
    state.live.queue_changed(item.area);
    Ok(item)
}
