//! The phones get their signal back at the same moment: what merges by itself, and who each value came from.
//! Knows no decision.

use std::collections::BTreeMap;
use std::time::Instant;

use doorstep_core::codes;
use doorstep_core::crypto::actor;
use doorstep_core::ids::{Actor, RecordId};
use doorstep_core::records;
use doorstep_core::value::Value;

use super::offline::{LI_PHONE, LI_TABLET, Plot};
use super::{Say, Stage, queue};

/// What came of it.
pub(super) struct Met {
    /// The new items of the queue.
    pub(super) items: Vec<queue::Item>,
}

/// Reconnects all phones and looks at what they hold.
pub(super) async fn meet(stage: &mut Stage, plot: &Plot, say: &mut Say<'_>) -> anyhow::Result<Met> {
    say.step("同时恢复信号，自动合并", "reconnect, merge")?;
    let started = Instant::now();
    stage.all_online();
    stage.level().await?;
    say.line(&format!(
        "四台设备全部上传并一致，{:.2} 秒",
        started.elapsed().as_secs_f64()
    ))?;

    let phone = &stage.phones[LI_TABLET];
    let mut merged = 0;
    for (record, keys) in [
        (plot.shared, &["phone", "workplace", "tags/volunteer"][..]),
        (plot.ruled, &["occupation"]),
        (plot.alike, &["population_kind"]),
    ] {
        let mut said = Vec::new();
        for key in keys {
            said.push(from_whom(stage, record, key)?);
        }
        merged += keys.len();
        say.line(&format!(
            "{}：{}",
            phone.text(record, "name")?,
            said.join("；")
        ))?;
    }
    stage.report.merged = merged;
    let shared = phone.device.record(plot.shared)?.registers;
    let whole = shared.get("phone") == Some(&"13917020001".into())
        && shared.get("workplace") == Some(&"申通地铁集团有限公司".into())
        && shared.get("tags/volunteer") == Some(&true.into());
    say.check("不同项目的修改都保留了 (different fields merge)", whole)?;
    let ruled = phone.text(plot.ruled, "occupation")?;
    say.check(
        "职业按规则取后写的一个，另一个在历史里 (settled by rule)",
        ["教师", "护士"].contains(&ruled.as_str()),
    )?;

    let visits = stage.phones[LI_PHONE].device.events_about(plot.shared)?;
    let visited = visits.iter().find(|event| event.id == plot.visit);
    say.check("王强的走访到了李静的手机上 (the visit)", visited.is_some())?;

    let items = queue::new_items(stage, &plot.queued_before).await?;
    stage.report.conflicts_opened = items.len();
    Ok(Met { items })
}

/// A value and the phone that made it, by the actor of the change.
fn from_whom(stage: &Stage, record: RecordId, key: &str) -> anyhow::Result<String> {
    let held = stage.phones[LI_TABLET].device.record(record)?;
    let actors: BTreeMap<Actor, &str> = stage
        .phones
        .iter()
        .map(|phone| {
            (
                actor::derive(&phone.device.who().key.public(), record, held.epoch),
                phone.name.as_str(),
            )
        })
        .collect();
    let winner = held.registers.winner(key);
    let maker = winner
        .and_then(|winner| actors.get(&winner.op.actor))
        .copied();
    let value = winner
        .map(|winner| winner.value.clone())
        .unwrap_or_default();
    Ok(format!(
        "{} ← {}",
        shown(&held.record_type, key, &value),
        maker.unwrap_or("登记导入")
    ))
}

/// A field's label and value as a person reads them.
pub(super) fn shown(record_type: &str, key: &str, value: &Value) -> String {
    let (name, element) = records::split_key(key);
    let field = records::record_type(record_type).and_then(|declared| declared.named(name));
    let label = field.map_or(name, |field| field.label.as_str());
    let code = element.or_else(|| value.as_text()).unwrap_or_default();
    let meaning = field
        .and_then(|field| field.table())
        .and_then(codes::table)
        .and_then(|table| table.label(code));
    format!("{label} {}", meaning.unwrap_or(code))
}
