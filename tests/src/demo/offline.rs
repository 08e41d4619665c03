//! Four phones without a signal: what each of them does, and that it is all there and unsent. Knows no merging.

use anyhow::{Context, ensure};
use doorstep_core::ids::{EventId, RecordId};
use doorstep_core::store::Listed;
use doorstep_core::value::{Fields, Value};

use super::people::{newcomer, picture};
use super::{Say, Stage};

/// 李静的手机
pub(super) const LI_PHONE: usize = 0;
/// 李静的平板
pub(super) const LI_TABLET: usize = 1;
/// 王强的手机
pub(super) const WANG: usize = 2;
/// 陈晨的手机
pub(super) const CHEN: usize = 3;

/// Whom the edits concern.
pub(super) struct Plot {
    /// One resident, of whom three phones change three fields.
    pub(super) shared: RecordId,
    /// The same field, settled by rule (职业).
    pub(super) ruled: RecordId,
    /// The same value of a reviewed field: no dispute (人员类别).
    pub(super) alike: RecordId,
    /// Different values of a reviewed field (姓名).
    pub(super) disputed: RecordId,
    /// The two names.
    pub(super) names: [String; 2],
    /// Cancelled on one phone, edited on another.
    pub(super) cancelled: RecordId,
    /// The same person, newly recorded on two phones.
    pub(super) twins: [RecordId; 2],
    /// The visit.
    pub(super) visit: EventId,
    /// What the server's queue held before.
    pub(super) queued_before: Vec<String>,
}

/// Edits on every phone.
pub(super) async fn edit(stage: &mut Stage, say: &mut Say<'_>) -> anyhow::Result<Plot> {
    say.step("断网，四台设备各自采集", "offline edits")?;
    let queued_before = super::queue::open_items(stage).await?;
    let cast = cast(stage)?;
    let [shared, ruled, alike, disputed, cancelled] = [0, 1, 2, 3, 4].map(|at: usize| cast[at].id);
    let name = |at: usize| text(&cast[at], "name");
    let [phone, tablet, wang, chen] = [LI_PHONE, LI_TABLET, WANG, CHEN].map(|at| &stage.phones[at]);

    phone.set(shared, "phone", "13917020001")?;
    wang.set(shared, "workplace", "申通地铁集团有限公司")?;
    chen.set(shared, "tags/volunteer", true)?;
    say.line(&format!(
        "{}：李静改手机号码，王强改工作单位，陈晨加标签“志愿者”",
        name(0)
    ))?;

    phone.set(ruled, "occupation", "教师")?;
    wang.set(ruled, "occupation", "护士")?;
    say.line(&format!("{}：职业，李静写“教师”，王强写“护士”", name(1)))?;

    let kind = if text(&cast[2], "population_kind") == "01" {
        "02"
    } else {
        "01"
    };
    phone.set(alike, "population_kind", kind)?;
    chen.set(alike, "population_kind", kind)?;
    say.line(&format!("{}：人员类别，李静和陈晨都改成同一个", name(2)))?;

    let names = ["诗", "丝"].map(|last| with_last(&name(3), last));
    tablet.set(disputed, "name", names[0].as_str())?;
    chen.set(disputed, "name", names[1].as_str())?;
    say.line(&format!(
        "{}：姓名，李静（平板）改为{}，陈晨改为{}",
        name(3),
        names[0],
        names[1]
    ))?;

    let cancel = [
        ("status", "cancelled"),
        ("cancel_reason", "3"),
        ("cancelled_on", "2026-11-20"),
    ];
    let cancel: Fields = cancel
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .into();
    wang.device.update(cancelled, &cancel)?;
    tablet.set(cancelled, "phone", "13917020005")?;
    say.line(&format!(
        "{}：王强注销（迁出），李静（平板）改手机号码",
        name(4)
    ))?;

    let person = newcomer("沈知遥", "1994-05-16", 27, "13800138027");
    let mut again = person.clone();
    again.insert("phone".to_owned(), "13800138028".into());
    let twins = [
        phone.device.create("resident", stage.area, person)?,
        chen.device.create("resident", stage.area, again)?,
    ];
    say.line("沈知遥（新来）：李静和陈晨各登记了一次，证件号码相同，手机号码不同")?;

    let visit = visit(wang, stage, shared)?;
    phone
        .device
        .add_photo(shared, "portrait", &picture(1_600)?)?;
    say.line(&format!("{}：王强走访并拍照，李静拍一张人像存档", name(0)))?;

    for phone in &stage.phones {
        let (items, photos) = phone.unsent()?;
        stage.report.changes_sent += items;
        say.check(
            &format!("{}：{items} 项、{photos} 张照片未上传 (unsent)", phone.name),
            items > 0,
        )?;
    }
    Ok(Plot {
        shared,
        ruled,
        alike,
        disputed,
        names,
        cancelled,
        twins,
        visit,
        queued_before,
    })
}

/// Five residents, the same whatever the order of the list.
fn cast(stage: &Stage) -> anyhow::Result<Vec<Listed>> {
    let mut all = stage.phones[LI_PHONE].list("resident", "", 10_000)?;
    all.retain(|one| text(one, "name").chars().count() == 3 && text(one, "id_number").len() == 18);
    all.sort_by_key(|one| text(one, "community_id"));
    all.truncate(5);
    ensure!(all.len() == 5, "the register is too small");
    Ok(all)
}

fn text(listed: &Listed, key: &str) -> String {
    listed
        .fields
        .get(key)
        .and_then(Value::as_text)
        .unwrap_or_default()
        .to_owned()
}

/// A name with another last character.
fn with_last(name: &str, last: &str) -> String {
    let mut characters: Vec<char> = name.chars().collect();
    characters.pop();
    characters.into_iter().collect::<String>() + last
}

fn visit(phone: &crate::town::Phone, stage: &Stage, resident: RecordId) -> anyhow::Result<EventId> {
    let now = phone.device.now();
    let fields: Fields = [
        ("resident", Value::from(resident.to_string())),
        ("at", now.0.into()),
        ("mode", "01".into()),
        ("purpose", "02".into()),
        ("result", "01".into()),
        ("note", "家中有人，已核对证件，工作单位有变。".into()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let photos = [("photos".to_owned(), picture(900)?)];
    phone
        .device
        .record_event_with_photos("visit", stage.area, fields, &photos)
        .context("visit")
}
