//! The household register (户籍): its people by name, number or address, each in a class.

use doorstep_core::rights::Permission;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::model::RecordView;
use super::store::{self, HouseholderRow};
use super::view::Open;
use super::{find, search};
use crate::domains::auth::{Actor, scoped_tx};
use crate::error::{ApiResult, Problems};
use crate::http::{Page, PageParams, area_in};
use crate::state::AppState;

/// Rows read at a time.
const STEP: i64 = 200;
/// The code of 出国（境） in `away_reason`.
const ABROAD: &str = "06";

/// Where a person of the household register is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegisterClass {
    /// 人户一致：lives where registered
    LivesHere,
    /// 户在人不在：lives in another place that is known
    LivesElsewhere,
    /// 出国（境）：away abroad
    Abroad,
    /// 暂离：away, and no other place is known
    Away,
    /// 去向不明：no place is known
    Untraceable,
}

impl RegisterClass {
    fn label(self) -> &'static str {
        match self {
            Self::LivesHere => "人户一致",
            Self::LivesElsewhere => "户在人不在",
            Self::Abroad => "出国（境）",
            Self::Away => "暂离",
            Self::Untraceable => "去向不明",
        }
    }

    /// Abroad goes before all else: a person keeps the residence while away.
    fn of(here: bool, elsewhere: bool, away: bool, reason: Option<&str>) -> Self {
        match (away, here, elsewhere) {
            (true, _, _) if reason == Some(ABROAD) => Self::Abroad,
            (_, true, _) => Self::LivesHere,
            (_, _, true) => Self::LivesElsewhere,
            (true, _, _) => Self::Away,
            _ => Self::Untraceable,
        }
    }
}

/// Which people of the household register to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RegisterQuery {
    /// A name, a certificate's number, a household number, an address.
    pub text: Option<String>,
    /// Registered in this area and below.
    pub area: Option<String>,
    /// Of this class.
    pub class: Option<RegisterClass>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A person of the household register.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RegisteredPerson {
    /// The person.
    pub resident: RecordView,
    /// The household; masked. The list is searched by the number, which the file shows for a purpose.
    pub household_number: Option<String>,
    /// Relation to its head.
    pub relation: Option<String>,
    /// Where the person is.
    pub class: RegisterClass,
    /// Its name.
    pub class_label: &'static str,
}

pub(super) async fn list(
    state: &AppState,
    actor: &Actor,
    query: RegisterQuery,
) -> ApiResult<Page<RegisteredPerson>> {
    let paging = PageParams {
        limit: query.limit,
        cursor: query.cursor,
    };
    let mut problems = Problems::default();
    let area = area_in(&mut problems, query.area.as_deref());
    problems.finish()?;
    let areas = search::areas(actor, area)?;
    let mut tx = scoped_tx(&state.pool, actor, Permission::ReadRegister).await?;
    let ids = find::typed(
        state,
        actor,
        &mut tx,
        "resident",
        query.text.as_deref(),
        areas.as_deref(),
    )
    .await?;
    let wanted = usize::try_from(paging.rows()).unwrap_or(usize::MAX);
    let mut after = paging.after()?;
    let mut found = Vec::new();
    // The class goes by sealed values too, so rows are read until the page is full.
    loop {
        let rows =
            store::householders(&mut tx, ids.as_deref(), areas.as_deref(), after, STEP).await?;
        let Some(last) = rows.last().map(|row| row.row.sealed.id) else {
            break;
        };
        after = Some(last);
        for row in rows {
            let person = person(state, row).await?;
            if query.class.is_none_or(|class| class == person.class) {
                found.push(person);
            }
        }
        if found.len() >= wanted {
            break;
        }
    }
    found.truncate(wanted);
    paging.page(found, |person| person.resident.id, |person| person)
}

async fn person(state: &AppState, row: HouseholderRow) -> ApiResult<RegisteredPerson> {
    let open = Open::new(state, row.row).await?;
    let class = RegisterClass::of(
        row.here,
        row.elsewhere,
        open.yes("away"),
        open.text("away_reason"),
    );
    Ok(RegisteredPerson {
        resident: open.view(Vec::new())?,
        household_number: open.beside("household_number"),
        relation: open.beside("relation_to_head"),
        class,
        class_label: class.label(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_follows_from_residences_and_absence() {
        for (here, elsewhere, away, reason, expected) in [
            (true, false, false, None, RegisterClass::LivesHere),
            (true, true, false, None, RegisterClass::LivesHere),
            (true, false, true, Some("05"), RegisterClass::LivesHere),
            (true, false, true, Some(ABROAD), RegisterClass::Abroad),
            (false, true, false, None, RegisterClass::LivesElsewhere),
            (false, false, true, Some("01"), RegisterClass::Away),
            (false, false, false, None, RegisterClass::Untraceable),
        ] {
            assert_eq!(RegisterClass::of(here, elsewhere, away, reason), expected);
        }
    }
}
