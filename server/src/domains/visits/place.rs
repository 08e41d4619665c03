//! Where a visit was made: at the house that it is about, elsewhere in its area, or outside. By the locations that are
//! registered of houses, since areas have no drawn boundaries. Knows no map.

use std::collections::BTreeMap;

use doorstep_core::value::{Fields, Value};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::{self, AreaSpan};
use crate::error::ApiResult;

/// How far from the house's registered point one may stand and still be there, in metres.
const AT_HOUSE: f64 = 150.0;
/// How far beyond the outermost houses of an area one is still within it, in metres.
const MARGIN: f64 = 300.0;
/// The most that a phone's own accuracy is allowed to add, in metres.
const MOST_ACCURACY: f64 = 200.0;
/// Metres a degree of latitude.
const DEGREE: f64 = 111_320.0;

/// Where a visit was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Whereabouts {
    /// 现场：at the house visited
    AtHouse,
    /// 区内：elsewhere in the area
    InArea,
    /// 区外：outside the area
    Outside,
    /// 无法判断：the phone gave no location, or no house of the area has one
    Unknown,
}

/// Where a visit was made, and how far from the house.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Place {
    /// Where.
    pub whereabouts: Whereabouts,
    /// Metres from the registered point of the house; none where either is not known.
    pub metres_from_house: Option<i64>,
}

/// A point in degrees (WGS-84).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

impl Point {
    /// Metres to another, near enough for some kilometres.
    fn metres_to(self, other: Self) -> f64 {
        let north = (self.latitude - other.latitude) * DEGREE;
        let east = (self.longitude - other.longitude) * DEGREE * self.latitude.to_radians().cos();
        north.hypot(east)
    }
}

/// What is registered around visits: the points of the houses that they are about, and the spans of their areas.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    houses: BTreeMap<Uuid, Point>,
    areas: BTreeMap<String, AreaSpan>,
}

impl Surroundings {
    pub(super) async fn of(
        tx: &mut PgConnection,
        subjects: &[Uuid],
        areas: &[String],
    ) -> ApiResult<Self> {
        let houses = store::house_points(tx, subjects).await?;
        let spans = store::area_spans(tx, areas).await?;
        Ok(Self {
            houses: houses
                .into_iter()
                .map(|(subject, longitude, latitude)| {
                    let point = Point {
                        longitude,
                        latitude,
                    };
                    (subject, point)
                })
                .collect(),
            areas: spans
                .into_iter()
                .map(|span| (span.area.clone(), span))
                .collect(),
        })
    }

    /// Where a visit with these values was made.
    pub(super) fn place(&self, area: &str, fields: &Fields) -> Place {
        let number = |key: &str| fields.get(key).and_then(decimal);
        let at = number("longitude")
            .zip(number("latitude"))
            .map(|(longitude, latitude)| Point {
                longitude,
                latitude,
            });
        let accuracy = number("accuracy_m")
            .unwrap_or(0.0)
            .clamp(0.0, MOST_ACCURACY);
        let house = subjects(fields).find_map(|subject| self.houses.get(&subject).copied());
        let metres = at.zip(house).map(|(at, house)| at.metres_to(house));
        let whereabouts = match (at, metres) {
            (None, _) => Whereabouts::Unknown,
            (_, Some(metres)) if metres <= AT_HOUSE + accuracy => Whereabouts::AtHouse,
            (Some(at), _) => match self.areas.get(area) {
                None => Whereabouts::Unknown,
                Some(span) if span.holds(at, MARGIN + accuracy) => Whereabouts::InArea,
                Some(_) => Whereabouts::Outside,
            },
        };
        let metres_from_house = metres.map(|metres| metres.round() as i64);
        Place {
            whereabouts,
            metres_from_house,
        }
    }
}

impl AreaSpan {
    /// Whether a point lies between the outermost houses, or no further out than the margin.
    fn holds(&self, at: Point, margin: f64) -> bool {
        let north = margin / DEGREE;
        let east = margin / (DEGREE * at.latitude.to_radians().cos().abs().max(0.01));
        (self.west - east..=self.east + east).contains(&at.longitude)
            && (self.south - north..=self.north + north).contains(&at.latitude)
    }
}

/// The records that a visit is about: the house first.
pub(super) fn subjects(fields: &Fields) -> impl Iterator<Item = Uuid> + '_ {
    ["house", "resident"]
        .into_iter()
        .filter_map(|key| fields.get(key)?.as_text()?.parse().ok())
}

fn decimal(value: &Value) -> Option<f64> {
    match value {
        Value::Text(text) => text.parse().ok(),
        Value::Int(number) => Some(*number as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metres_are_metres() {
        let here = Point {
            longitude: 121.47,
            latitude: 31.23,
        };
        let east = Point {
            longitude: 121.48,
            ..here
        };
        let metres = here.metres_to(east);
        assert!((metres - 952.0).abs() < 3.0, "{metres}");
        assert!(here.metres_to(here).abs() < f64::EPSILON);
    }
}
