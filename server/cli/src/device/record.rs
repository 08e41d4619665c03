//! Records on a device: making, editing, listing, searching, showing; and visits.

use std::path::PathBuf;

use doorstep_core::ids::{AreaCode, RecordId, ScopeId};
use doorstep_core::records::{self, RecordType};
use doorstep_core::store::{DeviceStore, ListQuery, Listed, StoredRecord};
use doorstep_core::sync::alike::Alike;
use doorstep_core::value::{Fields, Value};
use serde_json::{Map, json};

use super::address::{self, Place};
use super::{CliDevice, DirArgs};
use crate::failure::{Exit, Failure, Outcome};
use crate::{output, values};

#[derive(clap::Args, Debug)]
pub(crate) struct NewArgs {
    /// 档案类型：resident 居民、house 房屋、residence 居住关系
    #[arg(value_name = "类型")]
    record_type: String,
    /// 项目=内容，例如 姓名=张三 sex=1；代码可写代码或其含义
    #[arg(value_name = "项目=内容")]
    fields: Vec<String>,
    /// 在哪个区划登记；本机只有一个区划时可不填
    #[arg(long, value_name = "区划")]
    area: Option<AreaCode>,
    /// 已看过相同的档案，确认不是同一个，仍要新建
    #[arg(long)]
    anyway: bool,
    #[command(flatten)]
    dir: DirArgs,
}

pub(crate) fn new(args: &NewArgs, json: bool) -> Outcome {
    let declared = values::record_type(&args.record_type)?;
    let mut fields = values::fields(declared, &args.fields)?;
    fields.retain(|_, value| !value.is_null());
    records::read::normalise(declared, &mut fields);
    let device = args.dir.device()?;
    let place = match declared.name.as_str() {
        "house" => address::settle(&device, &mut fields)?,
        _ => Place::AsGiven,
    };
    let alike = device.alike(&declared.name, &fields)?;
    if !alike.is_empty() && !args.anyway {
        return Err(already_here(declared, &alike, json));
    }
    let id = device.create(&declared.name, area(&device, args.area)?, fields)?;
    if json {
        output::json(&json!({ "id": id, "address": place.json() }));
    } else {
        output::line(&format!("已新建{}：{id}", declared.label));
        place.say();
    }
    Ok(())
}

/// Nothing is made before the collector has seen what may be the same.
fn already_here(declared: &RecordType, alike: &[(Alike, Listed)], json: bool) -> Failure {
    let cancelled =
        |listed: &Listed| listed.fields.get("status").and_then(Value::as_text) == Some("cancelled");
    if json {
        let items = alike.iter().map(|(reason, listed)| {
            json!({ "id": listed.id, "reason": reason, "cancelled": cancelled(listed), "fields": plain(&listed.fields) })
        });
        output::json(&json!({
            "error": { "code": "already_here", "message": "本机已有可能相同的档案，没有新建" },
            "alike": items.collect::<Vec<_>>(),
        }));
        return Failure::said(Exit::Usage);
    }
    let rows = alike.iter().map(|(reason, listed)| {
        let state = if cancelled(listed) { "已注销" } else { "" };
        let title = values::title(declared, &listed.fields);
        vec![
            title,
            reason.label().to_owned(),
            state.to_owned(),
            listed.id.to_string(),
        ]
    });
    output::table(
        &["内容", "相同之处", "状态", "编号"],
        &rows.collect::<Vec<_>>(),
    );
    let message = format!(
        "本机已有 {} 份可能相同的{}档案，没有新建。如果是同一个，请用 set 修改；确实不是，请加 --anyway",
        alike.len(),
        declared.label
    );
    Failure::usage("already_here", message)
}

/// The area that is meant: as given, or the only one on this device.
fn area(device: &CliDevice, given: Option<AreaCode>) -> Result<AreaCode, Failure> {
    if let Some(area) = given {
        return Ok(area);
    }
    let scopes = device.read(DeviceStore::scopes)?;
    let areas: Vec<AreaCode> = scopes
        .iter()
        .filter_map(|(scope, _)| match scope {
            ScopeId::Area(area) => Some(*area),
            _ => None,
        })
        .collect();
    match areas.as_slice() {
        [area] => Ok(*area),
        [] => Err(Failure::usage(
            "area_missing",
            "还不知道您的区划：请先同步一次，或用 --area 指明",
        )),
        _ => {
            let known: Vec<&str> = areas.iter().map(AreaCode::as_str).collect();
            Err(Failure::usage(
                "which_area",
                format!("您负责多个区划，请用 --area 指明：{}", known.join("、")),
            ))
        }
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct SetArgs {
    /// 档案编号
    #[arg(value_name = "编号")]
    id: RecordId,
    /// 项目=内容；内容为空表示清除；集合用 tags+=代码、tags-=代码
    #[arg(value_name = "项目=内容", required = true)]
    fields: Vec<String>,
    #[command(flatten)]
    dir: DirArgs,
}

fn declared_of(record: &StoredRecord) -> Result<&'static RecordType, Failure> {
    values::record_type(&record.record_type)
}

pub(crate) fn set(args: &SetArgs, json: bool) -> Outcome {
    let device = args.dir.device()?;
    let declared = declared_of(&device.record(args.id)?)?;
    let mut fields = values::fields(declared, &args.fields)?;
    records::read::normalise(declared, &mut fields);
    let changed = device.update(args.id, &fields)?;
    if json {
        output::json(&json!({ "id": args.id, "changed": changed }));
    } else {
        output::line(if changed {
            "已修改。"
        } else {
            "内容相同，没有变化。"
        });
    }
    Ok(())
}

#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// 只列这种档案
    #[arg(value_name = "类型")]
    record_type: Option<String>,
    /// 只列与这份档案相关的，例如一套房屋的居住关系
    #[arg(long, value_name = "编号")]
    linked_to: Option<RecordId>,
    /// 连同已注销的
    #[arg(long)]
    cancelled: bool,
    /// 最多列多少条
    #[arg(long, value_name = "条数", default_value_t = 50)]
    limit: usize,
    /// 跳过前面多少条
    #[arg(long, value_name = "条数", default_value_t = 0)]
    offset: usize,
    #[command(flatten)]
    dir: DirArgs,
}

pub(crate) fn list(args: &ListArgs, json: bool) -> Outcome {
    let query = ListQuery {
        record_type: type_name(args.record_type.as_deref())?,
        text: String::new(),
        linked_to: args.linked_to,
        cancelled: args.cancelled,
        offset: args.offset,
        limit: args.limit,
    };
    show_list(&args.dir.device()?.list(&query)?, json);
    Ok(())
}

fn type_name(text: Option<&str>) -> Result<Option<String>, Failure> {
    text.map(|text| values::record_type(text).map(|declared| declared.name.clone()))
        .transpose()
}

#[derive(clap::Args, Debug)]
pub(crate) struct SearchArgs {
    /// 要找的文字
    #[arg(value_name = "文字", required = true)]
    text: Vec<String>,
    /// 只找这种档案
    #[arg(long = "type", value_name = "类型")]
    record_type: Option<String>,
    /// 最多列多少条
    #[arg(long, value_name = "条数", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    dir: DirArgs,
}

pub(crate) fn search(args: &SearchArgs, json: bool) -> Outcome {
    let query = ListQuery {
        record_type: type_name(args.record_type.as_deref())?,
        text: args.text.join(" "),
        limit: args.limit,
        ..ListQuery::default()
    };
    show_list(&args.dir.device()?.list(&query)?, json);
    Ok(())
}

fn show_list(listed: &[Listed], json: bool) {
    if json {
        let items: Vec<_> = listed
            .iter()
            .map(|item| json!({ "id": item.id, "type": item.record_type, "fields": plain(&item.fields), "pending": item.pending }))
            .collect();
        output::json(&items);
        return;
    }
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|item| {
            let declared = records::record_type(&item.record_type);
            let label =
                declared.map_or(item.record_type.clone(), |declared| declared.label.clone());
            let title = declared.map_or(String::new(), |declared| {
                values::title(declared, &item.fields)
            });
            let pending = if item.pending { "待上传" } else { "" };
            vec![label, title, pending.to_owned(), item.id.to_string()]
        })
        .collect();
    output::table(&["类型", "内容", "状态", "编号"], &rows);
}

fn plain(fields: &Fields) -> Map<String, serde_json::Value> {
    fields
        .iter()
        .map(|(key, value)| (key.clone(), value.clone().into()))
        .collect()
}

#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// 档案编号
    #[arg(value_name = "编号")]
    id: RecordId,
    #[command(flatten)]
    dir: DirArgs,
}

pub(crate) fn show(args: &ShowArgs, json: bool) -> Outcome {
    let device = args.dir.device()?;
    let record = device.record(args.id)?;
    let declared = declared_of(&record)?;
    let fields: Fields = record
        .registers
        .fields()
        .into_iter()
        .filter(|(key, _)| !key.starts_with('_'))
        .collect();
    let concurrent: Vec<String> = record
        .registers
        .keys()
        .filter(|key| record.registers.concurrent(key).is_some())
        .map(str::to_owned)
        .collect();
    let visits = device.events_about(args.id)?;
    let heads: Vec<String> = record
        .registers
        .heads()
        .iter()
        .map(ToString::to_string)
        .collect();
    if json {
        output::json(&json!({
            "id": record.id,
            "type": record.record_type,
            "area": record.area,
            "epoch": record.epoch,
            "fields": plain(&fields),
            "concurrent": concurrent,
            "heads": heads,
            "events": visits.iter().map(|event| json!({
                "id": event.id, "type": event.event_type, "fields": plain(&event.fields),
            })).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    output::line(&format!("{}  {}", declared.label, record.id));
    output::pairs(&values::rows(declared, &fields));
    for key in concurrent {
        let label = declared
            .field(&key)
            .map_or(key.as_str(), |field| field.label.as_str());
        output::line(&format!("“{label}”有不同的值，等待裁决。"));
    }
    for event in visits {
        if let Some(declared) = records::record_type(&event.event_type) {
            output::line("");
            output::line(&format!("{}  {}", declared.label, event.id));
            output::pairs(&values::rows(declared, &event.fields));
        }
    }
    Ok(())
}

#[derive(clap::Args, Debug)]
pub(crate) struct VisitArgs {
    /// 走访的居民
    #[arg(long, value_name = "编号")]
    resident: Option<RecordId>,
    /// 走访的房屋
    #[arg(long, value_name = "编号")]
    house: Option<RecordId>,
    /// 项目=内容，例如 走访结果=已见面核实；时间不填为现在，方式不填为上门走访，目的不填为日常走访
    #[arg(value_name = "项目=内容")]
    fields: Vec<String>,
    /// 附上照片
    #[arg(long, value_name = "文件")]
    photo: Vec<PathBuf>,
    /// 在哪个区划；不填则为档案登记的区划
    #[arg(long, value_name = "区划")]
    area: Option<AreaCode>,
    #[command(flatten)]
    dir: DirArgs,
}

/// What a visit is when nothing else is said.
const USUAL_VISIT: [(&str, &str); 3] = [("mode", "01"), ("purpose", "01"), ("result", "01")];

pub(crate) fn visit(args: &VisitArgs, json: bool) -> Outcome {
    let declared = values::record_type("visit")?;
    let mut fields: Fields = USUAL_VISIT
        .map(|(key, code)| (key.to_owned(), code.into()))
        .into();
    let device = args.dir.device()?;
    fields.insert("at".to_owned(), Value::Int(device.now().0));
    fields.extend(values::fields(declared, &args.fields)?);
    fields.retain(|_, value| !value.is_null());
    for (key, id) in [("resident", args.resident), ("house", args.house)] {
        fields.extend(id.map(|id| (key.to_owned(), id.to_string().into())));
    }
    let visited = args.resident.or(args.house);
    let area = match (args.area, visited) {
        (None, Some(id)) => device.record(id)?.area,
        (given, _) => area(&device, given)?,
    };
    let mut photos = Vec::new();
    for path in &args.photo {
        let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
        photos.push(("photos".to_owned(), bytes));
    }
    let id = device.record_event_with_photos("visit", area, fields, &photos)?;
    if json {
        output::json(&json!({ "id": id }));
    } else {
        output::line(&format!("已记录走访：{id}"));
    }
    Ok(())
}
