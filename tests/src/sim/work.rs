//! What people do on their phones: random records, edits, moves and visits, with few enough values that some agree
//! and many contradict. Knows no network and no server.

use doorstep_core::ids::{AreaCode, EventId, RecordId};
use doorstep_core::projection::{AREA_KEY, TYPE_KEY, VERSION_KEY};
use doorstep_core::store::{DeviceStore, ListQuery, Listed};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::phone::{Phone, PhoneError};

/// Something to do.
#[derive(Clone, Debug)]
pub enum Job {
    /// A new record.
    Create {
        /// Its id.
        id: RecordId,
        /// Its type.
        record_type: &'static str,
        /// Where it is made.
        area: AreaCode,
        /// Its values.
        fields: Fields,
    },
    /// Other values in a record.
    Update {
        /// Which one.
        id: RecordId,
        /// Its type.
        record_type: String,
        /// The values.
        fields: Fields,
    },
    /// A visit.
    Visit {
        /// Its id.
        id: EventId,
        /// Where.
        area: AreaCode,
        /// Its values.
        fields: Fields,
    },
}

const NAMES: [&str; 5] = ["张三", "张珊", "李四", "欧阳娜", "王五"];
const NUMBERS: [&str; 3] = [
    "11010519491231002X",
    "440524188001010014",
    "310101199001011234",
];

/// Ten random bytes, for an id.
pub fn ten(rng: &mut ChaCha8Rng) -> [u8; 10] {
    let mut bytes = [0; 10];
    rng.fill(&mut bytes);
    bytes
}

/// Something to do on this phone, in one of these areas, mostly on the records that everyone works on; `None` when
/// there is nothing.
///
/// # Errors
/// The disk's.
pub fn job(
    rng: &mut ChaCha8Rng,
    phone: &Phone,
    areas: &[AreaCode],
    commons: &[RecordId],
    now: Timestamp,
) -> Result<Option<Job>, PhoneError> {
    let Some(area) = areas.choose(rng).copied() else {
        return Ok(None);
    };
    let held = phone.disk.list(&ListQuery {
        cancelled: true,
        limit: usize::MAX,
        ..ListQuery::default()
    })?;
    let of = |kind: &str| -> Vec<&Listed> {
        held.iter()
            .filter(|listed| listed.record_type == kind)
            .collect()
    };
    let residents = of("resident");
    let clock = phone.clock(now);
    let id = RecordId::new(clock, ten(rng));
    Ok(Some(match rng.random_range(0..100) {
        0..6 => create(id, "resident", area, resident(rng)),
        6..8 => create(id, "house", area, house(rng)),
        8..15 if !residents.is_empty() => {
            let resident = residents[rng.random_range(0..residents.len())];
            create(id, "residence", area, residence(rng, resident.id))
        }
        15..20 if !residents.is_empty() => {
            let resident = residents[rng.random_range(0..residents.len())];
            let mut fields = visit(rng, clock.0);
            fields.insert("resident".to_owned(), resident.id.to_string().into());
            Job::Visit {
                id: EventId::new(clock, ten(rng)),
                area,
                fields,
            }
        }
        _ => match favoured(rng, &held, commons) {
            Some(listed) => Job::Update {
                id: listed.id,
                record_type: listed.record_type.clone(),
                fields: edit(rng, listed),
            },
            None => create(id, "resident", area, resident(rng)),
        },
    }))
}

/// Mostly one of the few that everyone works on, so that people meet.
fn favoured<'a>(
    rng: &mut ChaCha8Rng,
    held: &'a [Listed],
    commons: &[RecordId],
) -> Option<&'a Listed> {
    let common: Vec<&Listed> = held
        .iter()
        .filter(|listed| commons.contains(&listed.id))
        .collect();
    match common.choose(rng) {
        Some(listed) if rng.random_ratio(2, 3) => Some(listed),
        _ => held.choose(rng),
    }
}

/// A record as an import brings it: its id, its type and its first values.
pub fn imported(
    rng: &mut ChaCha8Rng,
    area: AreaCode,
    now: Timestamp,
) -> (RecordId, &'static str, Fields) {
    let (record_type, mut fields) = if rng.random_ratio(3, 4) {
        ("resident", resident(rng))
    } else {
        ("house", house(rng))
    };
    fields.extend(self::fields(&[
        (TYPE_KEY, record_type.into()),
        (VERSION_KEY, 1.into()),
        (AREA_KEY, area.as_str().into()),
    ]));
    (RecordId::new(now, ten(rng)), record_type, fields)
}

fn create(id: RecordId, record_type: &'static str, area: AreaCode, fields: Fields) -> Job {
    Job::Create {
        id,
        record_type,
        area,
        fields,
    }
}

fn fields(values: &[(&str, Value)]) -> Fields {
    let values = values.iter();
    values
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect()
}

fn resident(rng: &mut ChaCha8Rng) -> Fields {
    let mut made = fields(&[
        ("name", text(rng, &NAMES)),
        ("sex", text(rng, &["1", "2"])),
        ("population_kind", text(rng, &["01", "02"])),
    ]);
    if rng.random_ratio(1, 2) {
        made.insert("id_number".to_owned(), text(rng, &NUMBERS));
    }
    if rng.random_ratio(1, 12) {
        made.insert("police_person_id".to_owned(), "P1".into()); // the server's alone: refused
    }
    made
}

fn house(rng: &mut ChaCha8Rng) -> Fields {
    let room = rng.random_range(101..120);
    fields(&[
        ("address", format!("南京东路12弄3号{room}室").into()),
        ("house_use", text(rng, &["1", "4"])),
    ])
}

/// A tie between a resident and a place.
pub fn residence(rng: &mut ChaCha8Rng, resident: RecordId) -> Fields {
    let room = rng.random_range(101..120);
    fields(&[
        ("resident", resident.to_string().into()),
        ("kind", text(rng, &["living", "renting"])),
        ("address", format!("南京东路12弄3号{room}室").into()),
    ])
}

fn visit(rng: &mut ChaCha8Rng, at: i64) -> Fields {
    fields(&[
        ("at", at.clamp(0, 4_000_000_000_000).into()),
        ("mode", "01".into()),
        ("purpose", "07".into()),
        ("result", text(rng, &["06", "99"])),
    ])
}

fn edit(rng: &mut ChaCha8Rng, listed: &Listed) -> Fields {
    if rng.random_ratio(1, 10) {
        return if listed.fields.get("status").and_then(Value::as_text) == Some("cancelled") {
            fields(&[("status", "active".into()), ("cancel_reason", Value::Null)])
        } else {
            fields(&[
                ("status", "cancelled".into()),
                ("cancel_reason", "99".into()),
            ])
        };
    }
    match listed.record_type.as_str() {
        "resident" => resident_edit(rng),
        "house" => match rng.random_range(0..3) {
            0 => fields(&[("house_use", text(rng, &["1", "4", "7"]))]),
            1 => fields(&[("rooms", i64::from(rng.random_range(1..4)).into())]),
            _ => fields(&[("owner_name", text(rng, &NAMES))]),
        },
        _ => match rng.random_range(0..2) {
            0 => fields(&[("main", rng.random::<bool>().into())]),
            _ => fields(&[("kind", text(rng, &["living", "renting", "owning"]))]),
        },
    }
}

fn resident_edit(rng: &mut ChaCha8Rng) -> Fields {
    let mut made = Fields::new();
    for _ in 0..rng.random_range(1..3) {
        let (key, value) = match rng.random_range(0..15) {
            0..5 => ("name", text(rng, &NAMES)),
            5 => ("sex", text(rng, &["0", "1", "2"])),
            6..8 => ("birth_date", text(rng, &["1949-12-31", "1990-01-01"])),
            8 => ("nationality", text(rng, &["01", "97"])),
            9..11 => ("phone", text(rng, &["13812345678", "13900001111"])),
            11 => ("phone", Value::Null),
            12 => ("tags/volunteer", text_or_gone(rng)),
            13 => ("id_number", text(rng, &NUMBERS)),
            _ => ("remark", text(rng, &["晚上在家", "白天在家"])),
        };
        made.insert(key.to_owned(), value);
    }
    if rng.random_ratio(1, 20) {
        made.insert("police_person_id".to_owned(), "P1".into()); // the server's alone: refused
    }
    made
}

fn text(rng: &mut ChaCha8Rng, values: &[&str]) -> Value {
    let at = rng.random_range(0..values.len());
    values[at].into()
}

fn text_or_gone(rng: &mut ChaCha8Rng) -> Value {
    if rng.random() {
        true.into()
    } else {
        Value::Null
    }
}
