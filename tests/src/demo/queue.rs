//! The supervisor's queue: what the phones disagreed on, each decision over HTTP, and how fast every phone shows it.
//! Knows nothing of how the disagreement came about.

use std::time::Instant;

use anyhow::Context;
use doorstep_core::ids::RecordId;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::offline::{CHEN, LI_TABLET, Plot};
use super::reunion::Met;
use super::{Say, Stage};
use crate::town::{Phone, routes};

/// An item of the queue.
pub(super) struct Item {
    id: String,
    kind: String,
    label: String,
    title: String,
    field: Option<String>,
    record: RecordId,
}

async fn page(stage: &Stage, cursor: Option<&str>) -> anyhow::Result<Value> {
    let after = cursor
        .map(|cursor| format!("&cursor={cursor}"))
        .unwrap_or_default();
    let path = format!(
        "{}?area={}&status=open&limit=100{after}",
        routes::CONFLICTS,
        stage.area
    );
    stage.supervisor.api.get(&path).await
}

async fn all(stage: &Stage) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut cursor = None;
    loop {
        let page = page(stage, cursor.as_deref()).await?;
        items.extend(
            page["items"]
                .as_array()
                .context("no items")?
                .iter()
                .cloned(),
        );
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(items);
        }
    }
}

/// The ids of the open items.
pub(super) async fn open_items(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let items = all(stage).await?;
    Ok(items
        .iter()
        .filter_map(|item| item["id"].as_str())
        .map(str::to_owned)
        .collect())
}

/// The open items that were not there before.
pub(super) async fn new_items(stage: &Stage, before: &[String]) -> anyhow::Result<Vec<Item>> {
    let word = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let items = all(stage).await?;
    let new = items
        .into_iter()
        .filter(|item| !before.contains(&word(item, "id")));
    new.map(|item| {
        Ok(Item {
            id: word(&item, "id"),
            kind: word(&item, "kind"),
            label: word(&item, "kind_label"),
            title: word(&item, "title"),
            field: item["field_label"].as_str().map(str::to_owned),
            record: word(&item, "record").parse()?,
        })
    })
    .collect()
}

/// Whether a phone shows it.
type Known<'a> = Box<dyn Fn(&Phone) -> anyhow::Result<bool> + 'a>;

/// What an item is decided by, and what a phone shows when it knows.
struct Decision<'a> {
    item: &'a Item,
    body: Value,
    said: String,
    known: Known<'a>,
}

/// Shows the items, decides them, and waits until every phone shows it.
pub(super) async fn decide(
    stage: &mut Stage,
    plot: &Plot,
    met: &Met,
    say: &mut Say<'_>,
) -> anyhow::Result<()> {
    say.step("争议进入队列，主管裁决", "conflict queue, decisions")?;
    for item in &met.items {
        let field = item
            .field
            .as_ref()
            .map(|field| format!("·{field}"))
            .unwrap_or_default();
        say.line(&format!("{}{field}：{}", item.label, item.title))?;
    }
    let mut kinds: Vec<&str> = met.items.iter().map(|item| item.kind.as_str()).collect();
    kinds.sort_unstable();
    let expected = ["duplicate_person", "field", "update_cancelled"];
    say.check(
        "恰好三件：姓名不同、注销与修改、一人两登 (exactly three)",
        kinds == expected,
    )?;

    let mut decided = 0;
    for item in &met.items {
        let detail = stage
            .supervisor
            .api
            .get(&format!("{}/{}", routes::CONFLICTS, item.id))
            .await?;
        let decision = decision_of(plot, item, &detail)?;
        let slowest = carry_out(stage, &decision).await?;
        stage.report.decision_ms.push(slowest);
        decided += 1;
        say.check(
            &format!(
                "周敏：{}；四台设备 {slowest:.0} 毫秒内全部显示",
                decision.said
            ),
            true,
        )?;
    }
    stage.report.conflicts_decided = decided;
    let left = new_items(stage, &plot.queued_before).await?;
    say.check("队列中没有遗留 (the queue is empty again)", left.is_empty())?;
    for at in [LI_TABLET, CHEN] {
        let told = |phone: &Phone| -> anyhow::Result<bool> {
            let messages = phone.device.states("message/")?;
            Ok(messages
                .iter()
                .any(|message| message.json.contains("conflict_decided")))
        };
        stage.phones[at].until("裁决结果", told).await?;
    }
    say.check("当事采集员都收到了结果 (both are told)", true)
}

fn decision_of<'a>(plot: &'a Plot, item: &'a Item, detail: &Value) -> anyhow::Result<Decision<'a>> {
    let choice_where = |holds: &dyn Fn(&Value) -> bool| -> anyhow::Result<u64> {
        let values = detail["values"].as_array().context("no values")?;
        let found = values
            .iter()
            .find(|value| holds(value))
            .with_context(|| format!("no such value: {detail}"))?;
        found["choice"].as_u64().context("no choice")
    };
    Ok(match item.kind.as_str() {
        "field" => {
            let name = plot.names[0].clone();
            let choice = choice_where(&|value| value["value"] == name.as_str())?;
            Decision {
                item,
                body: json!({ "action": "take", "choice": choice, "note": "已核对身份证原件" }),
                said: format!("姓名取{name}（看过证件原件）"),
                known: Box::new(move |phone| {
                    let held = phone.device.record(plot.disputed)?.registers;
                    Ok(held.all("name").len() == 1
                        && held.get("name") == Some(&name.as_str().into()))
                }),
            }
        }
        "update_cancelled" => {
            let choice = choice_where(&|value| value["value"] != "cancelled")?;
            Decision {
                item,
                body: json!({ "action": "take", "choice": choice, "note": "电话联系本人，仍住在这里" }),
                said: "不注销，本人仍在住；新手机号码有效".to_owned(),
                known: Box::new(|phone| Ok(phone.text(plot.cancelled, "status")? != "cancelled")),
            }
        }
        "duplicate_person" => {
            let survivor = plot.twins[0];
            let other = plot.twins[1];
            Decision {
                item,
                body: json!({ "action": "merge", "survivor": survivor, "take_from_other": ["phone"], "note": "同一人" }),
                said: "两份沈知遥合为一份，手机号码取陈晨登记的".to_owned(),
                known: Box::new(move |phone| {
                    let gone = match phone.device.record(other) {
                        Err(_) => true,
                        Ok(record) => record.registers.get("status") == Some(&"cancelled".into()),
                    };
                    Ok(gone && phone.text(survivor, "phone")? == "13800138028")
                }),
            }
        }
        other => anyhow::bail!(
            "an item of kind {other} about {} was not expected",
            item.record
        ),
    })
}

/// Sends the decision; gives the milliseconds until the last phone shows it.
async fn carry_out(stage: &Stage, decision: &Decision<'_>) -> anyhow::Result<f64> {
    let path = format!("{}/{}/decision", routes::CONFLICTS, decision.item.id);
    let started = Instant::now();
    let shown = try_join_all(stage.phones.iter().map(|phone| async {
        phone.until(&decision.said, &decision.known).await?;
        anyhow::Ok(started.elapsed().as_secs_f64() * 1_000.0)
    }));
    let (answered, shown) =
        tokio::try_join!(stage.supervisor.api.post(&path, &decision.body), shown)?;
    drop(answered);
    Ok(shown.into_iter().fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kinds_are_cores() {
        use doorstep_core::accept::ConflictKind;
        let codes: Vec<&str> = ConflictKind::ALL.iter().map(|kind| kind.code()).collect();
        for kind in ["duplicate_person", "field", "update_cancelled"] {
            assert!(codes.contains(&kind));
        }
    }
}
