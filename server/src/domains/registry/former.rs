//! Former residents of a house or a community: who lived there, when, and why it ended.

use doorstep_core::ids::RecordId;
use doorstep_core::rights::Permission;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::model::TieView;
use super::view::{self, Open};
use super::{file, search, store};
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::{ApiResult, Problems};
use crate::http::{Page, PageParams, area_in};
use crate::state::AppState;

/// Whose former residents to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FormerQuery {
    /// Of this area and below.
    pub area: Option<String>,
    /// Of this house.
    pub house: Option<Uuid>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Someone who lived there.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FormerResident {
    /// Name, masked; none where the file is no longer in the reader's area.
    pub name: Option<String>,
    /// Whether the person's file is cancelled.
    pub cancelled: bool,
    /// The residence that ended: kind, period, reason.
    pub residence: TieView,
}

pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    query: FormerQuery,
) -> ApiResult<Page<FormerResident>> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let mut problems = Problems::default();
    let area = area_in(&mut problems, query.area.as_deref());
    problems.finish()?;
    let areas = search::areas(actor, area)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    if let Some(house) = query.house {
        file::find(&mut tx, actor, RecordId(house), Some("house")).await?;
    }
    let rows = store::former(
        &mut tx,
        areas.as_deref(),
        query.house,
        paging.after()?,
        paging.rows(),
    )
    .await?;
    let page = paging.page(rows, |row| row.tie.sealed.id, |row| row.tie)?;
    let ids: Vec<Uuid> = page.items.iter().map(|tie| tie.resident).collect();
    let people = Open::all(state, store::records(&mut tx, &ids).await?).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for tie in page.items {
        let person = people
            .iter()
            .find(|person| person.row.sealed.id == tie.resident);
        items.push(FormerResident {
            name: person.map(Open::masked_name),
            cancelled: person.is_some_and(|person| person.row.sealed.cancelled),
            residence: view::tie(state, tie).await?,
        });
    }
    Ok(Page {
        items,
        next: page.next,
    })
}
