//! Maps the columns of a register's table (CSV, workbook, template) to fields, and turns each row into
//! fields with every problem at its column.
//!
//! Knows heads, labels and what one row can tell; it does not read files, know other rows, or look for
//! duplicates. A row of residents also tells where the person lives and, for 户籍人口, where they are
//! registered: those come back as residences without the resident, which the importer adds.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::read::{narrow, read};
use super::types::{Field, RecordType, Severity};
use super::validate::{FieldProblem, Mode, validate};
use crate::address;
use crate::identity::certificate::RESIDENT_ID;
use crate::identity::id_number::IdNumber;
use crate::value::{Fields, Value};

/// Where the cells of a table go. Columns without a field are left out.
#[derive(Debug, Clone)]
pub struct Mapping {
    record: &'static RecordType,
    ties: Option<&'static RecordType>,
    columns: Vec<Option<Target>>,
    heads: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Target {
    field: &'static Field,
    of_tie: bool,
}

/// Something about the heads of a table that its reader should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeadProblem {
    /// The column, counted from 0; `None` for a column that isn't there.
    pub column: Option<usize>,
    /// The head, as written or as it should be.
    pub head: String,
    /// `unknown_head` (the column is left out), `duplicate_head`, `missing_head`.
    pub code: &'static str,
    /// What to do, in Chinese.
    pub message: String,
    /// Whether the table can be imported all the same.
    pub severity: Severity,
}

/// What one row says.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Row {
    /// The record's fields, in normal form, ready to be written.
    pub fields: Fields,
    /// For residents: the residences that the row tells of, each without `resident` (and `house`).
    pub residences: Vec<Fields>,
    /// Every problem of the row, in the order of the columns.
    pub problems: Vec<RowProblem>,
}

/// Something wrong with one cell, or with what the row lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowProblem {
    /// The column, counted from 0; `None` where the table has none for it.
    pub column: Option<usize>,
    /// The column's head, or the field's label where there is no column.
    pub head: String,
    /// The field's key.
    pub path: String,
    /// Stable code.
    pub code: Cow<'static, str>,
    /// What is wrong and what to do, in Chinese.
    pub message: String,
    /// An error keeps the row from being imported; a warning is imported and shown.
    pub severity: Severity,
}

impl Mapping {
    /// Finds a field for each head: its label, or one of the heads declared for it; blanks, width and
    /// anything in brackets don't matter.
    #[must_use]
    pub fn from_heads(rt: &'static RecordType, heads: &[String]) -> (Self, Vec<HeadProblem>) {
        let ties = (rt.name == "resident")
            .then(|| super::record_type("residence"))
            .flatten();
        let targets = targets(rt, ties);
        let mut problems = Vec::new();
        let mut taken: BTreeMap<(bool, &str), usize> = BTreeMap::new();
        let mut columns = Vec::with_capacity(heads.len());
        for (column, head) in heads.iter().enumerate() {
            let target = targets.get(&head_key(head)).copied();
            let twice =
                target.is_some_and(|t| taken.insert((t.of_tie, &t.field.name), column).is_some());
            columns.push(target.filter(|_| !twice));
            let problem = |code, message: String, severity| HeadProblem {
                column: Some(column),
                head: head.clone(),
                code,
                message,
                severity,
            };
            if twice {
                let message = format!("第 {} 列“{head}”与前面的列重复，请只保留一列。", column + 1);
                problems.push(problem("duplicate_head", message, Severity::Error));
            } else if target.is_none() && !head.trim().is_empty() {
                let message = format!("第 {} 列“{head}”不在模板中，导入时略过。", column + 1);
                problems.push(problem("unknown_head", message, Severity::Warning));
            }
        }
        for field in rt
            .fields
            .iter()
            .filter(|f| f.required && !taken.contains_key(&(false, f.name.as_str())))
        {
            let head = field.import.first().unwrap_or(&field.label).clone();
            let message = format!("缺少“{head}”一列，请按模板补上。");
            problems.push(HeadProblem {
                column: None,
                head,
                code: "missing_head",
                message,
                severity: Severity::Error,
            });
        }
        (
            Self {
                record: rt,
                ties,
                columns,
                heads: heads.to_vec(),
            },
            problems,
        )
    }

    /// The heads of a template for this record type, in the order of the form.
    #[must_use]
    pub fn template(rt: &'static RecordType) -> Vec<&'static str> {
        let ties = (rt.name == "resident")
            .then(|| super::record_type("residence"))
            .flatten();
        let fields = rt
            .offered()
            .chain(ties.into_iter().flat_map(RecordType::offered));
        fields
            .filter_map(|f| f.import.first().map(String::as_str))
            .collect()
    }

    /// The field that a column goes to.
    #[must_use]
    pub fn field(&self, column: usize) -> Option<&'static Field> {
        self.columns.get(column).copied().flatten().map(|t| t.field)
    }

    /// Turns one row into fields and problems. Missing cells are blank.
    #[must_use]
    pub fn convert(&self, cells: &[String]) -> Row {
        let mut row = Row::default();
        let mut tie = Fields::new();
        if cells
            .iter()
            .skip(self.columns.len())
            .any(|c| !c.trim().is_empty())
        {
            row.problems.push(RowProblem {
                column: Some(self.columns.len()),
                head: String::new(),
                path: String::new(),
                code: Cow::Borrowed("extra_cells"),
                message: "这一行比表头多出了内容，请检查是否错列。".to_owned(),
                severity: Severity::Error,
            });
        }
        // The certificate's kind decides how its number is read, so numbers come second.
        for numbers in [false, true] {
            for (column, target) in self.columns.iter().enumerate() {
                let (Some(target), Some(cell)) = (target, cells.get(column)) else {
                    continue;
                };
                if target.field.kind_field.is_some() != numbers {
                    continue;
                }
                let into = if target.of_tie {
                    &mut tie
                } else {
                    &mut row.fields
                };
                let kind = target
                    .field
                    .kind_field
                    .as_ref()
                    .and_then(|k| into.get(k))
                    .and_then(Value::as_text);
                match read(target.field, cell, kind) {
                    Ok(values) => into.extend(values),
                    Err(unreadable) => row.problems.push(RowProblem {
                        column: Some(column),
                        head: self.heads.get(column).cloned().unwrap_or_default(),
                        path: target.field.name.clone(),
                        code: Cow::Borrowed(unreadable.code),
                        message: unreadable.message,
                        severity: Severity::Error,
                    }),
                }
            }
        }
        if self.record.named("birth_date").is_some() {
            fill_from_number(&mut row.fields);
        }
        let unreadable: Vec<String> = row.problems.iter().map(|p| p.path.clone()).collect();
        for problem in validate(self.record, &row.fields, Mode::Imported) {
            if !unreadable.contains(&problem.path) {
                row.problems.push(self.place(self.record, problem, false));
            }
        }
        if let Some(ties) = self.ties {
            self.add_residences(ties, tie, &mut row);
        }
        row.problems
            .sort_by_key(|p| (p.column.unwrap_or(usize::MAX), p.path.clone()));
        row
    }

    fn place(&self, rt: &RecordType, problem: FieldProblem, of_tie: bool) -> RowProblem {
        let field = rt.named(super::split_key(&problem.path).0);
        let is_here = |t: &Option<Target>| {
            t.is_some_and(|t| t.of_tie == of_tie && field.is_some_and(|f| f.name == t.field.name))
        };
        let column = self.columns.iter().position(is_here);
        let head = column.and_then(|c| self.heads.get(c).cloned());
        RowProblem {
            column,
            head: head
                .or_else(|| field.map(|f| f.label.clone()))
                .unwrap_or_default(),
            // Without the element of a set, which is what the cell says.
            path: super::split_key(&problem.path).0.to_owned(),
            code: problem.code,
            message: problem.message,
            severity: problem.severity,
        }
    }

    /// The place a row tells of is where the person lives and mainly lives; who is 户籍人口 has a register
    /// tie too, to the register address. Where the two are one place the committee is the same.
    fn add_residences(&self, rt: &RecordType, mut living: Fields, row: &mut Row) {
        let registered = row.fields.get("population_kind") == Some(&Value::from("01"));
        let id = row
            .fields
            .get("community_id")
            .and_then(Value::as_text)
            .unwrap_or_default()
            .to_owned();
        let tie = |kind: &str, mut fields: Fields| {
            fields.insert("kind".to_owned(), Value::from(kind));
            if !id.is_empty() {
                fields.insert("source".to_owned(), Value::from(format!("{id}:{kind}")));
            }
            fields
        };
        let lives_at = living.get("address").cloned();
        if lives_at.is_some() {
            living
                .entry("kind".to_owned())
                .or_insert_with(|| Value::from("living"));
            living.entry("main".to_owned()).or_insert(Value::Bool(true));
            for problem in validate(rt, &living, Mode::Partial) {
                row.problems.push(self.place(rt, problem, true));
            }
            let kind = living
                .get("kind")
                .and_then(Value::as_text)
                .unwrap_or("living")
                .to_owned();
            row.residences.push(tie(&kind, living.clone()));
        } else if let Some(field) = rt.named("address") {
            let message = "没有居住地址，人员会导入，但不会与房屋关联，请补填。".to_owned();
            let problem = FieldProblem {
                path: field.name.clone(),
                code: Cow::Borrowed("no_living_address"),
                message,
                severity: Severity::Warning,
            };
            row.problems.push(self.place(rt, problem, true));
        }
        let register_at = row
            .fields
            .get("register_address")
            .cloned()
            .or(lives_at.clone());
        let (true, Some(register_at)) = (registered, register_at) else {
            return;
        };
        let mut register = Fields::from([("address".to_owned(), register_at.clone())]);
        if lives_at
            .as_ref()
            .is_none_or(|lives_at| same_place(lives_at, &register_at))
        {
            if let Some(area) = living.get("area_code") {
                register.insert("area_code".to_owned(), area.clone());
            }
        } else {
            let problem = FieldProblem {
                path: "register_address".to_owned(),
                code: Cow::Borrowed("register_elsewhere"),
                message: "登记为户籍人口（人户一致），但户籍地址与居住地址不是同一处，请核对是否人在户不在。".to_owned(),
                severity: Severity::Warning,
            };
            row.problems.push(self.place(self.record, problem, false));
        }
        row.residences.push(tie("register", register));
    }
}

/// What a valid ID number tells needn't be typed: certificate kind, birth date and sex are filled where
/// they are blank.
fn fill_from_number(fields: &mut Fields) {
    let kind = fields.get("certificate_kind").and_then(Value::as_text);
    if kind.is_some_and(|k| k != RESIDENT_ID) {
        return;
    }
    let Some(Ok(parsed)) = fields
        .get("id_number")
        .and_then(Value::as_text)
        .map(IdNumber::parse)
    else {
        return;
    };
    for (name, value) in [
        ("certificate_kind", RESIDENT_ID.to_owned()),
        ("birth_date", parsed.birth.format("%Y-%m-%d").to_string()),
        ("sex", parsed.sex.code().to_owned()),
    ] {
        fields
            .entry(name.to_owned())
            .or_insert_with(|| Value::from(value));
    }
}

fn same_place(a: &Value, b: &Value) -> bool {
    match (a.as_text(), b.as_text()) {
        (Some(a), Some(b)) => address::parse(a).key() == address::parse(b).key(),
        _ => false,
    }
}

fn targets(rt: &'static RecordType, ties: Option<&'static RecordType>) -> BTreeMap<String, Target> {
    let mut targets = BTreeMap::new();
    let both = [(Some(rt), false), (ties, true)];
    // Declared heads first, then labels, so that a label never takes another field's head.
    for by_label in [false, true] {
        for (rt, of_tie) in both {
            for field in rt
                .into_iter()
                .flat_map(|rt| &rt.fields)
                .filter(|f| !f.import.is_empty())
            {
                let label = by_label.then_some(&field.label);
                let heads = (!by_label)
                    .then_some(&field.import)
                    .into_iter()
                    .flatten()
                    .chain(label);
                for head in heads {
                    targets
                        .entry(head_key(head))
                        .or_insert(Target { field, of_tie });
                }
            }
        }
    }
    targets
}

/// Compares heads: narrow, without blanks, stars and what stands in brackets (“证件号码*（必填）”).
fn head_key(head: &str) -> String {
    let narrow = narrow(head);
    let bare = narrow.split('(').next().unwrap_or_default();
    bare.chars()
        .filter(|c| !c.is_whitespace() && *c != '*')
        .collect()
}

#[cfg(test)]
mod tests;
