//! A register that is lived in: a server of its own with people of every role and something of every kind that the API
//! names: records, a conflict, a check, an import, devices, photos, grants. Knows what they are called in the API's
//! description, and no fault.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use doorstep_core::rights::Role;
use serde_json::{Value, json};

use super::ground::{Ground, resident};
use crate::town::{Person, routes};

/// How long the server may take to ask about two main residences.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the module.
pub(super) struct Furnished {
    pub(super) ground: Ground,
    /// One of each role, administrators last: what they may do touches the others.
    pub(super) people: Vec<(Role, Person)>,
    /// Real values, by the names of parameters and JSON fields.
    pub(super) things: BTreeMap<&'static str, Vec<String>>,
    /// Names of declared fields, of every type.
    pub(super) fields: Vec<String>,
}

impl Furnished {
    pub(super) async fn open(program: &Path) -> anyhow::Result<Self> {
        let mut ground = Ground::open(program).await?;
        let area = ground.area.to_string();
        let giver = ground.administrators.areas.clone();
        let liaison = giver
            .appoint("liaison", "民警", Role::PoliceLiaison, &area)
            .await?;
        let colleague = giver
            .appoint("colleague", "王强", Role::Collector, &area)
            .await?;
        let (disputed, portrait) = dispute(&mut ground, &colleague).await?;
        let things = things(&ground, &colleague, &disputed, &portrait).await?;
        let declared = ground.collector.api.get("/api/declarations").await?;
        let types = declared["types"].as_array().context("no types")?;
        let fields = types
            .iter()
            .flat_map(|declared| declared["fields"].as_array().into_iter().flatten())
            .filter_map(|field| field["name"].as_str().map(str::to_owned))
            .collect();
        let administrators = &ground.administrators;
        let people = vec![
            (Role::Collector, ground.collector.clone()),
            (Role::Supervisor, ground.supervisor.clone()),
            (Role::PoliceLiaison, liaison),
            (Role::Auditor, administrators.auditor.clone()),
            (Role::AreaAdministrator, administrators.areas.clone()),
            (Role::SecurityAdministrator, administrators.security.clone()),
        ];
        Ok(Self {
            ground,
            people,
            things,
            fields,
        })
    }
}

/// Two devices that wrote different names for one resident, who has a photo: the record and the photo.
async fn dispute(ground: &mut Ground, colleague: &Person) -> anyhow::Result<(String, String)> {
    let collector = ground.collector.clone();
    let (one, two) = (
        ground.light(&collector).await?,
        ground.light(colleague).await?,
    );
    let record = one.create("resident", ground.area, resident())?;
    let photo = one.add_photo(record, "portrait", &picture()?)?;
    one.sync_once().await?;
    two.sync_once().await?;
    for (device, name) in [(&one, "何晓玫"), (&two, "何小梅")] {
        device.update(record, &[("name".to_owned(), name.into())].into())?;
    }
    one.sync_once().await?;
    two.sync_once().await?;
    Ok((record.to_string(), photo))
}

async fn things(
    ground: &Ground,
    colleague: &Person,
    disputed: &str,
    portrait: &str,
) -> anyhow::Result<BTreeMap<&'static str, Vec<String>>> {
    let area = ground.area.to_string();
    let collector = &ground.collector.api;
    let create = async |path: &str, fields: Value| {
        let body = json!({ "area": area, "fields": fields });
        let said = collector.post(path, &body).await?;
        id_of(&said["record"])
    };
    let person =
        json!({ "name": "林朝霞", "sex": "2", "population_kind": "01", "phone": "13800138027" });
    let resident = create("/api/residents", person).await?;
    let house = json!({ "address": "陕西中路12弄28号1702室", "house_use": "1" });
    let house = create("/api/houses", house).await?;
    let mut residences = Vec::new();
    for address in ["陕西中路12弄28号1702室", "永嘉路5弄6号201室"] {
        let fields =
            json!({ "resident": resident, "address": address, "kind": "living", "main": true });
        residences.push(create("/api/residences", fields).await?);
    }
    let opening = json!({
        "digest": "6b".repeat(32), "size": 9, "type": "image/png", "record": house, "field": "photos",
    });
    let upload = collector.post(routes::PHOTOS, &opening).await?;
    let file = "姓名,性别,人员类别\r\n叶海思,男,流动人口\r\n".as_bytes();
    let path = format!("{}?type=resident&area={area}&name=sample", routes::IMPORTS);
    let supervisor = &ground.supervisor.api;
    let import = supervisor
        .post_file(&path, "text/csv", file.to_vec())
        .await?;
    let conflict = first(supervisor.get(routes::CONFLICTS).await?)?;
    let areas = &ground.administrators.areas.api;
    let grants = areas
        .get(&format!("{}/{}/grants", routes::USERS, colleague.id))
        .await?;
    let devices = areas
        .get(&format!("/api/devices?user={}", colleague.id))
        .await?;
    let check = check(ground, &resident).await?;

    let users = vec![colleague.id.clone(), ground.neighbour.id.clone()];
    let residents = vec![resident, disputed.to_owned()];
    let mut records = residents.clone();
    records.extend(residences.clone());
    records.push(house.clone());
    let village = vec![area, ground.elsewhere.to_string()];
    Ok(BTreeMap::from([
        ("user_id", users.clone()),
        ("user", users.clone()),
        ("assignee", users),
        ("device_id", vec![first(devices)?]),
        ("grant_id", vec![id_of(&grants[0])?]),
        ("conflict_id", vec![conflict]),
        ("check_id", vec![check]),
        ("import_id", vec![id_of(&import)?]),
        ("area_code", village.clone()),
        ("area", village),
        ("digest", vec![portrait.to_owned()]),
        (
            "upload",
            vec![upload["upload"].as_str().context("no upload")?.to_owned()],
        ),
        ("offset", vec!["0".to_owned()]),
        ("resident_id", residents.clone()),
        ("resident", residents),
        ("house_id", vec![house.clone()]),
        ("house", vec![house]),
        ("residence", residences),
        ("record_id", records.clone()),
        ("record", records),
        ("type", vec!["resident".to_owned(), "house".to_owned()]),
    ]))
}

/// What the server asks of those responsible, once it has seen two main residences of a person.
async fn check(ground: &Ground, resident: &str) -> anyhow::Result<String> {
    let path = format!("/api/checks?resident={resident}");
    let started = Instant::now();
    loop {
        let list = ground.collector.api.get(&path).await?;
        if list["items"][0]["id"].is_string() {
            return first(list);
        }
        ensure!(started.elapsed() < PATIENCE, "no check was opened");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn first(list: Value) -> anyhow::Result<String> {
    id_of(&list["items"][0])
}

fn id_of(thing: &Value) -> anyhow::Result<String> {
    let id = thing["id"].as_str();
    Ok(id.with_context(|| format!("no id in {thing}"))?.to_owned())
}

/// A small picture.
pub(super) fn picture() -> anyhow::Result<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(40, 30, image::Rgb([9, 99, 199]));
    picture.write_to(&mut out, image::ImageFormat::Jpeg)?;
    Ok(out.into_inner())
}
