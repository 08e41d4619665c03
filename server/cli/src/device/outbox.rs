//! What has not been sent, and what was refused: with why, what to do, and a way to take it off the list.

use doorstep_client::Refused;
use doorstep_core::envelope::Item;
use doorstep_core::records;
use doorstep_core::value::Fields;
use serde_json::json;

use super::DirArgs;
use crate::failure::Outcome;
use crate::{output, values};

#[derive(clap::Args, Debug)]
pub(crate) struct OutboxArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// 把看过的退回内容移出列表（编号，可以有多个）；主管那里不受影响
    #[arg(long, value_name = "编号", num_args = 1..)]
    dismiss: Vec<u64>,
}

/// What an item is about: its declared type and the record or event.
fn about(item: &Item) -> (&str, String) {
    match item {
        Item::Change(change) => (&change.record_type, change.record.to_string()),
        Item::Event(event) => (&event.event_type, event.id.to_string()),
    }
}

fn label(name: &str) -> String {
    records::record_type(name).map_or(name.to_owned(), |declared| declared.label.clone())
}

pub(crate) fn outbox(args: &OutboxArgs, json: bool) -> Outcome {
    let device = args.dir.device()?;
    device.dismiss(&args.dismiss)?;
    let (waiting, refused) = (device.outbox()?, device.refused()?);
    if json {
        output::json(&json!({
            "waiting": waiting.iter().map(|item| {
                let (kind, id) = about(&item.item);
                json!({ "type": kind, "id": id, "made_at": item.made_at })
            }).collect::<Vec<_>>(),
            "refused": refused,
        }));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = waiting
        .iter()
        .map(|item| {
            let (kind, id) = about(&item.item);
            vec![values::time(item.made_at.0), label(kind), id]
        })
        .collect();
    output::line("等待上传：");
    output::table(&["时间", "类型", "档案"], &rows);
    if !refused.is_empty() {
        output::line("");
        output::line("被退回：");
        refused.iter().for_each(say);
    }
    Ok(())
}

fn say(refused: &Refused) {
    let put = refused.values.iter();
    let put: Fields = put
        .map(|value| (value.key.clone(), value.value.clone()))
        .collect();
    let put =
        records::record_type(&refused.record_type).map(|declared| values::rows(declared, &put));
    let what: Vec<String> = put
        .unwrap_or_default()
        .into_iter()
        .map(|(label, text)| format!("{label} {text}"))
        .collect();
    output::line(&format!(
        "[{}] {} {} {}",
        refused.id,
        values::time(refused.at.0),
        refused.label,
        refused.record
    ));
    output::pairs(&[
        ("    填写".to_owned(), what.join("，")),
        (
            "    原因".to_owned(),
            format!("{}（{}）", refused.message, refused.code),
        ),
        ("    怎么办".to_owned(), refused.advice.to_owned()),
    ]);
}
