//! What the rows of a batch come to, against the register as it stands and the rows before them. The check and the
//! writing judge alike; only the writing carries it out.

mod finding;

use std::collections::{BTreeMap, BTreeSet};

use doorstep_core::ids::{AreaCode, RecordId};
use doorstep_core::records::import_map::{Mapping, Row};
use doorstep_core::records::{self, RecordType, Severity};
use doorstep_core::value::{Fields, Value};
use sqlx::PgConnection;

use self::finding::Found;
use super::match_house::{Match, text};
use super::match_resident::{NUMBERS, name_key};
use super::model::{Duplicates, RowProblemView, Verdict};
use super::tokens;
use crate::domains::areas;
use crate::error::ApiResult;
use crate::random;
use crate::register::{Opened, Put};
use crate::state::AppState;

/// What one row comes to.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) row: i32,
    pub(super) verdict: Verdict,
    pub(super) record: Option<RecordId>,
    pub(super) duplicate_of: Option<RecordId>,
    pub(super) duplicate_row: Option<i32>,
    /// Keys that differ from the register.
    pub(super) changed: Vec<String>,
    pub(super) problems: Vec<RowProblemView>,
    pub(super) writes: Vec<Write>,
    /// Two records that are likely one, for a supervisor.
    pub(super) suspects: Vec<(RecordId, RecordId)>,
}

/// Values to put on a record.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) put: Put,
    /// What the record holds under these keys now; `None` for a new one.
    pub(super) before: Option<Fields>,
}

/// Judges the rows of one import, batch after batch.
#[derive(Debug)]
pub(super) struct Judge {
    declared: &'static RecordType,
    mapping: Mapping,
    area: AreaCode,
    duplicates: Duplicates,
    seen: Seen,
    areas: BTreeMap<AreaCode, bool>,
}

/// What the rows before said, by what would make two rows one: their number and, once written, their record.
#[derive(Debug, Default)]
struct Seen {
    sources: BTreeMap<String, i32>,
    numbers: BTreeMap<String, (i32, Option<RecordId>)>,
    likenesses: BTreeMap<(String, String, String), (i32, Option<RecordId>)>,
}

/// A row between reading and judging.
struct Reading {
    number: i32,
    row: Row,
    problems: Vec<RowProblemView>,
    area: Option<AreaCode>,
    /// Keys of the places it names.
    places: Vec<String>,
}

impl Judge {
    pub(super) fn new(
        declared: &'static RecordType,
        mapping: Mapping,
        area: AreaCode,
        duplicates: Duplicates,
    ) -> Self {
        Self {
            declared,
            mapping,
            area,
            duplicates,
            seen: Seen::default(),
            areas: BTreeMap::new(),
        }
    }

    /// Judges a batch, in a system transaction. New records get their ids here.
    pub(super) async fn batch(
        &mut self,
        tx: &mut PgConnection,
        state: &AppState,
        rows: &[(i32, Vec<String>)],
    ) -> ApiResult<Vec<Judged>> {
        let readings = self.read(tx, rows).await?;
        let found = self.look_up(tx, state, &readings).await?;
        let mut judged = Vec::with_capacity(readings.len());
        for reading in readings {
            judged.push(self.judge(state, reading, &found)?);
        }
        Ok(judged)
    }

    /// Turns cells into fields, and checks where each row says it belongs.
    async fn read(
        &mut self,
        tx: &mut PgConnection,
        rows: &[(i32, Vec<String>)],
    ) -> ApiResult<Vec<Reading>> {
        let mut readings: Vec<Reading> = rows
            .iter()
            .map(|(number, cells)| {
                let row = self.mapping.convert(cells);
                let problems = row.problems.iter().map(RowProblemView::from).collect();
                let mut places: Vec<String> = row
                    .residences
                    .iter()
                    .map(|residence| tokens::place(residence, "address"))
                    .chain([tokens::place(&row.fields, "register_address")])
                    .filter(|place| !place.is_empty())
                    .collect();
                places.sort();
                places.dedup();
                Reading {
                    number: *number,
                    row,
                    problems,
                    area: None,
                    places,
                }
            })
            .collect();
        let said: BTreeSet<AreaCode> = readings.iter().filter_map(said_area).collect();
        let unknown: Vec<AreaCode> = said
            .into_iter()
            .filter(|area| !self.areas.contains_key(area))
            .collect();
        if !unknown.is_empty() {
            let known = areas::service::find(tx, &unknown).await?;
            for area in unknown {
                let is_known = known.iter().any(|found| found.code == area);
                self.areas.insert(area, is_known);
            }
        }
        for reading in &mut readings {
            self.place(reading);
        }
        Ok(readings)
    }

    /// The village that a row belongs to.
    fn place(&self, reading: &mut Reading) {
        let problem = |code: &str, message: &str| RowProblemView {
            path: "area_code".to_owned(),
            ..RowProblemView::of_row(code, message, Severity::Error)
        };
        let said = said_area(reading);
        let is_village = |area: &AreaCode| area.level() == doorstep_core::ids::AreaLevel::Village;
        reading.area = match said {
            Some(area) if !self.area.contains(&area) => {
                reading.problems.push(problem(
                    "outside_area",
                    "这一行的居村委编码不在导入的区划内，请分开导入或更正编码",
                ));
                None
            }
            Some(area) if self.areas.get(&area) != Some(&true) => {
                reading.problems.push(problem(
                    "unknown_area",
                    "没有这个居村委编码，请从区划树中选择",
                ));
                None
            }
            Some(area) if is_village(&area) => Some(area),
            _ if is_village(&self.area) => Some(self.area),
            _ => {
                reading.problems.push(problem(
                    "area_required",
                    "缺少居村委编码：按街镇或区导入时，每一行都要写明居村委",
                ));
                None
            }
        };
    }

    fn judge(&mut self, state: &AppState, reading: Reading, found: &Found) -> ApiResult<Judged> {
        let mut judged = Judged {
            row: reading.number,
            problems: reading.problems.clone(),
            ..Judged::default()
        };
        if self.repeats(&reading, &mut judged) {
            return Ok(judged);
        }
        let Some(area) = reading
            .area
            .filter(|_| !judged.problems.iter().any(RowProblemView::is_error))
        else {
            judged.verdict = Verdict::Error;
            return Ok(judged);
        };
        match self.find(&reading, found) {
            Match::Same(id) => {
                judged.record = Some(id);
                self.compare(state, &reading, id, area, found, &mut judged)?;
            }
            Match::Merged(id) => {
                judged.duplicate_of = Some(id);
                judged.verdict = Verdict::Duplicate;
                judged.problems.push(RowProblemView::of_row(
                    "merged_record",
                    "这个编号的档案已并入另一份档案，这一行没有导入；如并非同一人（同一处），请先撤销合并",
                    Severity::Warning,
                ));
            }
            Match::Like(id) => {
                judged.duplicate_of = Some(id);
                judged.verdict = Verdict::Duplicate;
                judged.problems.push(RowProblemView::of_row(
                    "like_record",
                    "与已有档案疑似同一人（同一处），请核对",
                    Severity::Warning,
                ));
                self.create(state, &reading, area, found, &mut judged)?;
            }
            Match::None => {
                judged.verdict = Verdict::New;
                self.like_earlier_row(&reading, &mut judged);
                self.create(state, &reading, area, found, &mut judged)?;
            }
        }
        self.remember(&reading, judged.record);
        Ok(judged)
    }

    /// Whether an earlier row has the same number of the source's: then this one adds nothing.
    fn repeats(&mut self, reading: &Reading, judged: &mut Judged) -> bool {
        let Some(source) = text(&reading.row.fields, "community_id") else {
            return false;
        };
        let Some(earlier) = self.seen.sources.get(source) else {
            self.seen.sources.insert(source.to_owned(), reading.number);
            return false;
        };
        judged.verdict = Verdict::Duplicate;
        judged.duplicate_row = Some(*earlier);
        judged.problems.push(RowProblemView::of_row(
            "repeated_row",
            format!("与第 {earlier} 行的编号相同，只导入前面的一行"),
            Severity::Warning,
        ));
        true
    }

    /// An earlier row that is likely the same person.
    fn like_earlier_row(&self, reading: &Reading, judged: &mut Judged) {
        let fields = &reading.row.fields;
        let by_number = number_keys(fields)
            .into_iter()
            .find_map(|number| self.seen.numbers.get(&number));
        let by_likeness = || {
            likenesses(reading)
                .into_iter()
                .find_map(|likeness| self.seen.likenesses.get(&likeness))
        };
        if let Some((row, record)) = by_number.or_else(by_likeness) {
            judged.verdict = Verdict::Duplicate;
            judged.duplicate_row = Some(*row);
            judged.duplicate_of = *record;
            judged.problems.push(RowProblemView::of_row(
                "like_row",
                format!("与第 {row} 行疑似同一人（同一处），请核对"),
                Severity::Warning,
            ));
        }
    }

    fn remember(&mut self, reading: &Reading, record: Option<RecordId>) {
        for number in number_keys(&reading.row.fields) {
            self.seen
                .numbers
                .entry(number)
                .or_insert((reading.number, record));
        }
        for likeness in likenesses(reading) {
            self.seen
                .likenesses
                .entry(likeness)
                .or_insert((reading.number, record));
        }
    }

    /// A row that is a record: what differs is put.
    fn compare(
        &self,
        state: &AppState,
        reading: &Reading,
        id: RecordId,
        area: AreaCode,
        found: &Found,
        judged: &mut Judged,
    ) -> ApiResult<()> {
        judged.verdict = Verdict::Unchanged;
        let (Some(record), Some(held)) = (found.records.get(&id), found.fields.get(&id)) else {
            return Ok(());
        };
        if text(held, "status") == Some("cancelled") {
            judged.problems.push(RowProblemView::of_row(
                "record_cancelled",
                "这份档案已注销，没有更新；如仍有效请先恢复",
                Severity::Warning,
            ));
            return Ok(());
        }
        let stamp = |fields: &Fields| fields.get("source_updated_at").and_then(Value::as_int);
        match (stamp(&reading.row.fields), stamp(held)) {
            // The same state of the source: what phones changed since stays.
            (Some(row), Some(held)) if row == held => return Ok(()),
            (Some(row), Some(held)) if row < held => {
                judged.problems.push(RowProblemView::of_row(
                    "older_than_register",
                    "这一行比已导入的内容旧，没有更新",
                    Severity::Warning,
                ));
                return Ok(());
            }
            _ => {}
        }
        judged.differ(record, &reading.row.fields);
        if self.declared.name == "resident" {
            self.residences(state, reading, id, area, found, judged)?;
        }
        if !judged.writes.is_empty() {
            judged.verdict = Verdict::Changed;
        }
        Ok(())
    }

    /// A row that is no record yet, or likely is one.
    fn create(
        &self,
        state: &AppState,
        reading: &Reading,
        area: AreaCode,
        found: &Found,
        judged: &mut Judged,
    ) -> ApiResult<()> {
        if judged.verdict == Verdict::Duplicate && self.duplicates == Duplicates::Skip {
            return Ok(());
        }
        let id = new_id(state)?;
        judged.record = Some(id);
        judged.begin(id, self.declared, reading.row.fields.clone(), area);
        if self.declared.name == "resident" {
            self.residences(state, reading, id, area, found, judged)?;
            // Equal ID numbers are found by the register itself.
            let by_number = |held: &Fields| {
                let own = tokens::number("id_number", &reading.row.fields);
                !own.is_empty() && own == tokens::number("id_number", held)
            };
            if let Some(other) = judged.duplicate_of
                && !found.fields.get(&other).is_some_and(by_number)
            {
                judged.suspects.push((id, other));
            }
        }
        Ok(())
    }

    /// The ties of a resident to places: found by their source's number or kind and place, else made.
    fn residences(
        &self,
        state: &AppState,
        reading: &Reading,
        resident: RecordId,
        area: AreaCode,
        found: &Found,
        judged: &mut Judged,
    ) -> ApiResult<()> {
        let Some(declared) = records::record_type("residence") else {
            return Ok(());
        };
        for tie in &reading.row.residences {
            let mut fields = tie.clone();
            fields.insert("resident".to_owned(), resident.to_string().into());
            let place = tokens::place(tie, "address");
            if let Some(house) = found.house_at(reading.number, &place) {
                fields.insert("house".to_owned(), house.to_string().into());
            }
            let own = found.residence(resident, tie, &place, |held| self.holds(held));
            let held = own.or_else(|| found.residence(resident, tie, &place, |_| true));
            match held {
                Some(held) if self.holds(held) => judged.differ(held, &fields),
                // Another community's record is not this file's to change.
                Some(_) => judged.problems.push(RowProblemView::of_row(
                    "residence_elsewhere",
                    "这处居住关系登记在其他居村委，没有更新；如有变化，请告知那里的居村委办理",
                    Severity::Warning,
                )),
                None => {
                    let lies_in = said(tie)
                        .filter(|area| self.area.contains(area))
                        .unwrap_or(area);
                    judged.begin(new_id(state)?, declared, fields, lies_in);
                }
            }
        }
        Ok(())
    }
}

impl Judged {
    /// Puts the first values of a record.
    fn begin(&mut self, record: RecordId, declared: &RecordType, fields: Fields, area: AreaCode) {
        let put = Put {
            record,
            record_type: declared.name.clone(),
            fields: records::begin(declared, area, fields),
        };
        self.writes.push(Write { put, before: None });
    }

    /// Puts what differs from a record.
    fn differ(&mut self, record: &Opened, wanted: &Fields) {
        let mut fields = Fields::new();
        let mut before = Fields::new();
        for (key, value) in wanted {
            let held = record.registers.get(key).unwrap_or(&Value::Null);
            if held != value {
                before.insert(key.clone(), held.clone());
                fields.insert(key.clone(), value.clone());
                if record.record_type != "residence" {
                    self.changed.push(key.clone());
                } else if !self.changed.contains(&"address".to_owned()) {
                    self.changed.push("address".to_owned());
                }
            }
        }
        if !fields.is_empty() {
            let put = Put {
                record: record.id,
                record_type: record.record_type.clone(),
                fields,
            };
            self.writes.push(Write {
                put,
                before: Some(before),
            });
        }
    }
}

fn new_id(state: &AppState) -> ApiResult<RecordId> {
    random::id(state.clock.timestamp(), RecordId::new)
}

/// The village that fields name.
fn said(fields: &Fields) -> Option<AreaCode> {
    text(fields, "area_code").and_then(|code| code.parse().ok())
}

fn said_area(reading: &Reading) -> Option<AreaCode> {
    said(&reading.row.fields).or_else(|| reading.row.residences.iter().find_map(said))
}

fn number_keys(fields: &Fields) -> Vec<String> {
    NUMBERS
        .iter()
        .flat_map(|key| tokens::number(key, fields))
        .collect()
}

/// Name, birth date and place, for each place that a row names. For a house, the place.
fn likenesses(reading: &Reading) -> Vec<(String, String, String)> {
    let fields = &reading.row.fields;
    let house = tokens::place(fields, "address");
    if !house.is_empty() {
        return vec![(String::new(), String::new(), house)];
    }
    let (Some(name), Some(birth)) = (name_key(fields), text(fields, "birth_date")) else {
        return Vec::new();
    };
    reading
        .places
        .iter()
        .map(|place| (name.clone(), birth.to_owned(), place.clone()))
        .collect()
}
