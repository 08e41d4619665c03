//! Every view of the register, read by one who may not see it in clear: what a mask hides of a field is hidden in the
//! members beside `fields` too. A new route or field is read by itself.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use doorstep_core::ids::{RecordId, UserId};
use doorstep_core::mask;
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::records::{self, Field, FieldKind, Mask, SetOf};
use doorstep_core::value::{Fields, Value as Scalar};
use doorstep_server::domains::checks;
use doorstep_server::random;
use doorstep_server::register::{self, Prepared, Submission, Submitter};
use doorstep_server::router;
use doorstep_server::testing::Person;
use doorstep_server::testing::city::{NEXT_VILLAGE, STREET, VILLAGE};
use serde_json::{Value, json};

use crate::kit::{Kit, id_number};

/// Values for every masked field, no two alike.
#[derive(Default)]
struct Filler(u32);

impl Filler {
    /// A value of a field, and what of it a mask hides. A photo's digest is the name that its picture is asked for by.
    fn sample(&mut self, field: &Field) -> (String, Scalar, Vec<String>) {
        self.0 += 1;
        let n = self.0;
        let day = NaiveDate::from_ymd_opt(1950, 1, 1).unwrap() + Days::new(u64::from(n) * 40);
        let key = field.name.clone();
        let text = match &field.kind {
            FieldKind::Text => match field.digits {
                Some(width) => format!("{:0width$}", 970_000 + n),
                None => format!("隐藏{n:03}的文字"),
            },
            FieldKind::Date => day.to_string(),
            FieldKind::IdNumber => id_number(&day.to_string(), n as usize),
            FieldKind::Phone => format!("138{:08}", 40_000_000 + n),
            FieldKind::Address => format!("思南路{n}弄7号101室"),
            FieldKind::Items(inner) => {
                let mut item = serde_json::Map::new();
                let mut hidden = Vec::new();
                for field in inner.iter().filter(|field| field.mask != Mask::None) {
                    let (key, value, of_field) = self.sample(field);
                    item.insert(key, value.as_text().unwrap().into());
                    hidden.extend(of_field);
                }
                let item = Value::Object(item).to_string();
                return (format!("{key}/a"), item.as_str().into(), hidden);
            }
            FieldKind::Blob => return (key, format!("{n:064x}").as_str().into(), Vec::new()),
            FieldKind::Set(SetOf::Blob) => {
                return (format!("{key}/{n:064x}"), true.into(), Vec::new());
            }
            other => panic!("{key}: no sample of {other:?}"),
        };
        assert_ne!(mask::mask(field, &text), text, "{key}");
        (key, text.as_str().into(), vec![text])
    }

    /// Values of all masked fields of a type but one, and what of them is hidden.
    fn fill(&mut self, record_type: &str, but: &str) -> (Fields, Vec<String>) {
        let declared = records::record_type(record_type).unwrap();
        let masked = |field: &&Field| field.mask != Mask::None && field.name != but;
        let (mut fields, mut hidden) = (Fields::new(), Vec::new());
        for field in declared.fields.iter().filter(masked) {
            let (key, value, of_field) = self.sample(field);
            fields.insert(key, value);
            hidden.extend(of_field);
        }
        (fields, hidden)
    }
}

/// Everything that an answer says, keys among it.
fn texts(answer: &Value, into: &mut BTreeSet<String>) {
    match answer {
        Value::String(text) => {
            into.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(members) => {
            for (key, value) in members {
                into.insert(key.clone());
                texts(value, into);
            }
        }
        _ => {}
    }
}

/// Whether a value stands there, by itself or within a longer text. A few digits stand in many an id.
pub(crate) fn says(answer: &Value, hidden: &str) -> bool {
    let mut said = BTreeSet::new();
    texts(answer, &mut said);
    let telling = hidden.len() >= 8 || !hidden.bytes().all(|byte| byte.is_ascii_digit());
    said.contains(hidden) || telling && said.iter().any(|text| text.contains(hidden))
}

/// A village of one file with everything filled in that is masked, twice.
pub(crate) struct Filled {
    pub(crate) kit: Kit,
    resident: String,
    house: String,
    /// With what is hidden of each: at first, and now.
    records: Vec<(String, [Vec<String>; 2])>,
    conflicts: Vec<String>,
    /// Of the visit, and the names in dispute.
    others: Vec<String>,
    check: String,
}

async fn put(kit: &Kit, record: RecordId, record_type: &str, fields: Fields) {
    let submission = Submission {
        who: Submitter::server(&kit.server.state, UserId(kit.supervisor.id)),
        envelope: None,
        items: vec![Prepared::Put {
            record,
            record_type: record_type.to_owned(),
            fields,
        }],
    };
    let applied = register::commit(&kit.server.state, vec![submission], |_| Vec::new())
        .await
        .unwrap();
    assert_eq!(applied.receipts[0].outcomes, [Outcome::Accepted]);
}

impl Filled {
    pub(crate) async fn new() -> Self {
        let kit = Kit::new().await;
        let (item, resident, ..) = kit.server.dispute(VILLAGE).await.unwrap();
        let mut filler = Filler::default();
        let new = || random::id(kit.server.state.clock.timestamp(), RecordId::new).unwrap();
        let house = new();
        let of_person = |kind: &str, more: &[(&str, Scalar)]| {
            let mut plain = Fields::from([
                ("resident".to_owned(), resident.to_string().as_str().into()),
                ("kind".to_owned(), kind.into()),
            ]);
            plain.extend(
                more.iter()
                    .map(|(key, value)| ((*key).to_owned(), value.clone())),
            );
            plain
        };
        let at_house = || ("house", Scalar::from(house.to_string().as_str()));
        let ended = [
            ("status", "cancelled".into()),
            ("cancel_reason", "83".into()),
            ("cancelled_on", "2026-11-20".into()),
        ];
        let plain = |pairs: &[(&str, Scalar)]| -> Fields {
            let pairs = pairs.iter();
            pairs
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect()
        };
        let away = [
            ("away", true.into()),
            ("relation_to_head", Scalar::from("02")),
        ];
        let claimed = new();
        let mut filled = Vec::new();
        // A residence with an end is over, and one that is over is claimed by nobody.
        let main = of_person("living", &[at_house(), ("main", true.into())]);
        let registered = of_person("register", &[at_house()]);
        let elsewhere = of_person("renting", &[]);
        let mut over = of_person("owning", &[at_house()]);
        over.extend(plain(&ended));
        let address = plain(&[("address", "永嘉路5弄6号201室".into())]);
        for (id, record_type, but, own) in [
            (resident, "resident", "name", plain(&away)),
            (house, "house", "", address),
            (new(), "residence", "until", main),
            (new(), "residence", "until", registered),
            (claimed, "residence", "until", elsewhere),
            (new(), "residence", "", over),
        ] {
            let declared = records::record_type(record_type).unwrap();
            let (mut fields, first) = filler.fill(record_type, but);
            fields.extend(own);
            if id != resident {
                let area = if id == claimed { NEXT_VILLAGE } else { VILLAGE };
                fields = records::begin(declared, area.parse().unwrap(), fields);
            }
            put(&kit, id, record_type, fields).await;
            let (fields, now) = filler.fill(record_type, but);
            put(&kit, id, record_type, fields).await;
            filled.push((id.to_string(), [first, now]));
        }
        // What else speaks of the file: a visit, and a claim with its check.
        let (mut seen, of_visit) = filler.fill("visit", "");
        seen.insert("resident".to_owned(), resident.to_string().as_str().into());
        let device = kit.server.device(&kit.collector).await.unwrap();
        let seen: Vec<(&str, Scalar)> = seen
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();
        let now = kit.server.state.clock.timestamp();
        kit.visit(&device, &kit.collector, now, &seen).await;
        let path = format!("/api/residents/{resident}/main-residence");
        let body = json!({ "residence": claimed });
        let reply = kit.send(&kit.next, "POST", &path, body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let claim = reply.body["candidates"][1]["conflict"].clone();
        checks::service::work(&kit.server.state).await.unwrap();
        let asked = kit.get(&kit.administrator, "/api/checks").await;
        let names = ["叶海思", "叶海斯", "叶海诗"].map(str::to_owned);
        Self {
            resident: resident.to_string(),
            house: house.to_string(),
            records: filled,
            conflicts: vec![item.to_string(), claim.as_str().unwrap().to_owned()],
            others: of_visit.into_iter().chain(names).collect(),
            check: asked["items"][0]["id"].as_str().unwrap().to_owned(),
            kit,
        }
    }

    fn hidden(&self) -> impl Iterator<Item = &String> {
        let of_records = self
            .records
            .iter()
            .flat_map(|(_, hidden)| hidden.iter().flatten());
        of_records.chain(&self.others)
    }

    /// What a route of the description is read at here.
    fn paths(&self, route: &str) -> Vec<String> {
        let each = |name: &str, ids: Vec<&String>| -> Vec<String> {
            ids.iter().map(|id| route.replace(name, id)).collect()
        };
        match route {
            _ if route.contains("{record_id}") => each(
                "{record_id}",
                self.records.iter().map(|(id, _)| id).collect(),
            ),
            _ if route.contains("{resident_id}") => each("{resident_id}", vec![&self.resident]),
            _ if route.contains("{house_id}") => each("{house_id}", vec![&self.house]),
            _ if route.contains("{conflict_id}") => {
                each("{conflict_id}", self.conflicts.iter().collect())
            }
            _ if route.contains("{check_id}") => each("{check_id}", vec![&self.check]),
            "/api/addresses" | "/api/buildings" | "/api/buildings/floors" => {
                vec![format!("{route}?area={VILLAGE}")]
            }
            "/api/residences" | "/api/residents" | "/api/houses" => {
                vec![format!("{route}?cancelled=any")]
            }
            "/api/conflicts" => vec![format!("{route}?status=any")],
            "/api/former-residents" => vec![
                format!("{route}?area={STREET}"),
                format!("{route}?house={}", self.house),
            ],
            "/api/visits/due" => vec![format!("{route}?by=2099-12-31")],
            other => vec![other.to_owned()],
        }
    }
}

/// The routes that show the register to whoever may read it. Pictures are no text.
fn routes() -> Vec<String> {
    let description = serde_json::to_value(router::description()).unwrap();
    let paths = description["paths"].as_object().unwrap();
    let shown = paths.iter().filter(|(_, methods)| {
        let access = methods["get"]["x-access"].as_str().unwrap_or_default();
        ["register.read", "conflicts.read"].contains(&access)
    });
    shown
        .map(|(path, _)| path.clone())
        .filter(|path| !path.starts_with("/api/photos/"))
        .collect()
}

/// All that these routes say to a person.
pub(crate) async fn read(filled: &Filled, who: &Person) -> Vec<(String, Value)> {
    let mut answers = Vec::new();
    for path in routes().iter().flat_map(|route| filled.paths(route)) {
        answers.push((path.clone(), filled.kit.get(who, &path).await));
    }
    answers
}

#[tokio::test]
async fn no_view_says_beside_the_fields_what_their_masks_hide() {
    let filled = Filled::new().await;
    let answers = read(&filled, &filled.kit.administrator).await;
    for (path, answer) in &answers {
        for hidden in filled.hidden() {
            assert!(!says(answer, hidden), "{path} says {hidden}: {answer:#}");
        }
    }
    // It looked at what it means to: the lists have something in them, and the members beside the fields are there.
    let at = |wanted: &str| {
        let found = answers.iter().find(|(path, _)| path.starts_with(wanted));
        found.map(|(_, answer)| answer.clone()).unwrap()
    };
    for list in [
        "/api/residents?",
        "/api/houses?",
        "/api/residences?",
        "/api/conflicts?",
        "/api/visits",
        "/api/ledger/fields",
        "/api/ledger/population",
        "/api/checks",
    ] {
        assert!(at(list)["items"][0].is_object(), "{list}");
    }
    let person = at("/api/household-register")["items"][0].clone();
    assert_eq!(person["household_number"], mask::HIDDEN);
    let away = at("/api/away")["items"][0].clone();
    let file = at(&format!("/api/residents/{}", filled.resident));
    let claims = at(&format!("/api/residents/{}/main", filled.resident));
    let moved = at("/api/ledger/addresses")["items"][0]["to"].clone();
    let former = at("/api/former-residents?")["items"][0]["residence"].clone();
    for (day, what) in [
        (&away["from"], "away since"),
        (&away["expected_return"], "back by"),
        (&file["residences"][0]["from"], "in the file"),
        (&claims["candidates"][0]["residence"]["from"], "a claim"),
        (&moved["from"], "a move"),
        (&former["from"], "a former residence"),
        (&former["until"], "its end"),
    ] {
        let masked = day.as_str().unwrap_or_default();
        assert!(masked.ends_with("-**-**"), "{what}: {day}");
    }
}

#[tokio::test]
async fn for_a_purpose_whoever_may_sees_all_of_it() {
    let filled = Filled::new().await;
    let kit = &filled.kit;
    let all = read(&filled, &kit.supervisor).await;
    // Who decides sees what is personal without naming one, certificates' numbers not: a guardian's neither.
    let numbers = filled
        .hidden()
        .filter(|text| text.len() == 18 && text.starts_with("310101"));
    for number in numbers {
        for (path, answer) in &all {
            assert!(!says(answer, number), "{path} says {number}: {answer:#}");
        }
    }
    for (id, [first, now]) in &filled.records {
        let path = format!("/api/records/{id}/reveal");
        let body = json!({ "purpose": "verification" });
        let reply = kit.send(&kit.supervisor, "POST", &path, body.clone()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        for hidden in now {
            assert!(says(&reply.body, hidden), "{hidden}: {}", reply.body);
        }
        let reply = kit.send(&kit.administrator, "POST", &path, body).await;
        assert_eq!((reply.status, reply.code()), (403, "forbidden"));
        let path = format!("/api/records/{id}/history?purpose=verification");
        let history = kit.get(&kit.supervisor, &path).await;
        for hidden in first.iter().chain(now) {
            assert!(says(&history, hidden), "{hidden}");
        }
    }
    let path = format!(
        "/api/conflicts/{}?purpose=verification",
        filled.conflicts[0]
    );
    let item = kit.get(&kit.supervisor, &path).await;
    for hidden in &filled.others {
        assert!(says(&item, hidden), "{hidden}");
    }
    // With a person's addresses go the days of each.
    let path = format!("/api/records/{}/reveal", filled.resident);
    let body = json!({ "purpose": "service", "fields": ["addresses"] });
    let person = kit.send(&kit.supervisor, "POST", &path, body).await.body;
    let residences = filled
        .records
        .iter()
        .filter(|(id, _)| *id != filled.resident && *id != filled.house);
    for (id, _) in residences {
        let own = kit
            .send(
                &kit.supervisor,
                "POST",
                &format!("/api/records/{id}/reveal"),
                json!({ "purpose": "service", "fields": ["from", "until"] }),
            )
            .await
            .body;
        for day in ["from", "until"] {
            assert_eq!(person["periods"][id][day], own["fields"][day], "{id}");
        }
    }
}
