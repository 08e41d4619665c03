//! The people of houses and households, by class: which follows from the residences that a person has there.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::model::HouseMember;
use super::store;
use super::view::{self, Open};
use crate::error::{ApiError, ApiResult};
use crate::register;
use crate::state::AppState;

/// Owns, and neither lives nor is registered there: 仅产权. The other classes are those of the table `presence`.
const OWNER_ONLY: (&str, &str) = ("owner_only", "仅产权");
/// Away for a while: 暂离.
const ABSENT: &str = "absent";
/// Stays for a while, and neither lives nor is registered there: 探访暂住.
const VISITOR: (&str, &str) = ("visitor", "探访暂住");

/// The class of a person in a house, from the kinds of the residences there.
///
/// 人户一致 `here_both`, 人在户不在 `lives_only`, 户在人不在 `register_only`, 仅产权 `owner_only`, 探访暂住 `visitor`.
pub(super) fn class(kinds: &[String]) -> Option<(&'static str, String)> {
    let has = |kind: &str| kinds.iter().any(|held| held == kind);
    let living = has("living") || has("renting");
    let class = match (living, has("register")) {
        (true, true) => "here_both",
        (true, false) => "lives_only",
        (false, true) => "register_only",
        (false, false) if has("visiting") => return Some((VISITOR.0, VISITOR.1.to_owned())),
        (false, false) if has("owning") => return Some((OWNER_ONLY.0, OWNER_ONLY.1.to_owned())),
        (false, false) => return None,
    };
    Some((class, view::label("presence", class)))
}

/// The people of houses, and those with the household number; `but` is left out.
pub(super) async fn of_houses(
    state: &AppState,
    tx: &mut PgConnection,
    houses: &[Uuid],
    household_number: Option<&str>,
    but: Option<Uuid>,
) -> ApiResult<Vec<HouseMember>> {
    let token = household_number.and_then(|number| register::household_token(state, number));
    let rows = store::people(tx, houses, token).await?;
    let mut members = Vec::with_capacity(rows.len());
    for person in rows
        .into_iter()
        .filter(|person| Some(person.row.sealed.id) != but)
    {
        let open = Open::new(state, person.row).await?;
        // The token is blind to which field holds the number, so the number itself decides.
        let same_household =
            household_number.is_some() && open.text("household_number") == household_number;
        if person.houses.is_empty() && !same_household {
            continue;
        }
        let class = class(&person.kinds);
        members.push(HouseMember {
            resident: open.row.sealed.id,
            name: open.masked_name(),
            houses: person.houses,
            class: class.as_ref().map(|(code, _)| *code),
            class_label: class.map(|(_, label)| label),
            kinds: person.kinds,
            main: person.main,
            away: open.yes("away"),
            relation: open.beside("relation_to_head"),
            same_household,
        });
    }
    Ok(members)
}

/// How many of each class, and how many of all are away for a while (`absent`).
pub(super) fn counts(members: &[HouseMember]) -> BTreeMap<&'static str, i64> {
    let mut counts = BTreeMap::new();
    for class in members.iter().filter_map(|member| member.class) {
        *counts.entry(class).or_insert(0) += 1;
    }
    let absent = members.iter().filter(|member| member.away).count();
    if absent > 0 {
        counts.insert(ABSENT, i64::try_from(absent).unwrap_or(i64::MAX));
    }
    counts
}

/// Leaves those of a class; `absent`: those who are away, whatever their class.
pub(super) fn of_class(members: Vec<HouseMember>, class: &str) -> ApiResult<Vec<HouseMember>> {
    let known = [
        "here_both",
        "lives_only",
        "register_only",
        OWNER_ONLY.0,
        VISITOR.0,
        ABSENT,
    ];
    if !known.contains(&class) {
        let text =
            "没有这个分类，请从人户一致、人在户不在、户在人不在、仅产权、探访暂住、暂离中选择";
        return Err(ApiError::field("class", "unknown_class", text));
    }
    let fits = |member: &HouseMember| {
        if class == ABSENT {
            member.away
        } else {
            member.class == Some(class)
        }
    };
    Ok(members.into_iter().filter(fits).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_follows_from_the_residences() {
        for (kinds, expected) in [
            (&["register", "living"][..], Some("here_both")),
            (&["register", "renting"], Some("here_both")),
            (&["living"], Some("lives_only")),
            (&["renting", "owning"], Some("lives_only")),
            (&["register", "owning"], Some("register_only")),
            (&["owning"], Some("owner_only")),
            (&["visiting", "owning"], Some("visitor")),
            (&["visiting", "living"], Some("lives_only")),
            (&[], None),
        ] {
            let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
            assert_eq!(class(&kinds).map(|(code, _)| code), expected, "{kinds:?}");
        }
    }
}
