//! Reads the city's tree from CSV (code,name,level,parent) and compares it with the one there is.
//! Knows no database: tree in, changes out.

use std::collections::BTreeMap;

use doorstep_core::ids::{AreaCode, AreaLevel};

use super::model::{AreaChange, AreaRow, ChangeKind, ImportReport};
use crate::error::{ApiResult, Problems};

/// Wrong rows named in one answer; a file with more is the wrong file.
const NAMED_PROBLEMS: usize = 100;

/// An area of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) parent: Option<AreaCode>,
}

/// A whole tree by code.
pub(super) type Tree = BTreeMap<AreaCode, Entry>;

/// Reads a file. Every wrong row is named with its line.
pub(super) fn read(bytes: &[u8]) -> ApiResult<Tree> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut problems = Found::default();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let heads = reader.headers().cloned().unwrap_or_default();
    let column = |name: &str| heads.iter().position(|head| head == name);
    let (Some(code_at), Some(name_at), Some(level_at), Some(parent_at)) = (
        column("code"),
        column("name"),
        column("level"),
        column("parent"),
    ) else {
        problems.add(1, "heads", "第一行须为表头 code,name,level,parent");
        return Err(problems.into_error());
    };
    let mut tree = Tree::new();
    let mut levels = Vec::new();
    for record in reader.records() {
        let Ok(record) = record else {
            problems.add(
                0,
                "unreadable",
                "文件不是 UTF-8 编码的 CSV，请另存为 CSV UTF-8 后重试",
            );
            break;
        };
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let Ok(code) = cell(code_at).parse::<AreaCode>() else {
            problems.add(line, "code", "区划代码应为 12 位数字");
            continue;
        };
        let parent = match cell(parent_at) {
            "" => None,
            text => match text.parse::<AreaCode>() {
                Ok(parent) => Some(parent),
                Err(_) => {
                    problems.add(line, "parent", "上级代码应为 12 位数字");
                    continue;
                }
            },
        };
        if level_code(code.level()) != cell(level_at) {
            problems.add(
                line,
                "level",
                "级别与代码不符：city、district、street、village 由代码末尾的零决定",
            );
        }
        if cell(name_at).is_empty() {
            problems.add(line, "name", "缺少区划名称");
        }
        let entry = Entry {
            name: cell(name_at).to_owned(),
            parent,
        };
        if tree.insert(code, entry).is_some() {
            problems.add(line, "twice", "区划代码重复");
        }
        levels.push((line, code, parent));
    }
    for (line, code, parent) in levels {
        let fits = match parent {
            None => code.level() == AreaLevel::City,
            Some(parent) => {
                tree.contains_key(&parent)
                    && parent.contains(&code)
                    && parent.level() < code.level()
            }
        };
        if !fits {
            problems.add(line, "parent", "上级不在文件中，或与代码不符");
        }
    }
    if tree.is_empty() {
        problems.add(1, "empty", "文件中没有区划");
    }
    if problems.0.is_empty() {
        Ok(tree)
    } else {
        Err(problems.into_error())
    }
}

/// What must change for the present rows to become the tree.
pub(super) fn compare(present: &[AreaRow], tree: &Tree) -> Vec<(ChangeKind, AreaChange)> {
    let mut changes = Vec::new();
    let rows: BTreeMap<AreaCode, &AreaRow> = present.iter().map(|row| (row.code, row)).collect();
    for (code, entry) in tree {
        let row = rows.get(code);
        let parent = entry.parent.map(|parent| parent.to_string());
        let kind = match row {
            None => ChangeKind::Added,
            Some(row) if row.retired_in.is_some() => ChangeKind::Restored,
            Some(row) if row.parent != parent => ChangeKind::Moved,
            Some(row) if row.name != entry.name => ChangeKind::Renamed,
            Some(_) => continue,
        };
        let live = row.filter(|row| row.retired_in.is_none());
        changes.push((
            kind,
            AreaChange {
                code: code.to_string(),
                kind: kind.code().into(),
                name_before: live.map(|row| row.name.clone()),
                name_after: Some(entry.name.clone()),
                parent_before: live.and_then(|row| row.parent.clone()),
                parent_after: parent,
            },
        ));
    }
    for row in present
        .iter()
        .filter(|row| row.retired_in.is_none() && !tree.contains_key(&row.code))
    {
        changes.push((
            ChangeKind::Retired,
            AreaChange {
                code: row.code.to_string(),
                kind: ChangeKind::Retired.code().into(),
                name_before: Some(row.name.clone()),
                name_after: None,
                parent_before: row.parent.clone(),
                parent_after: None,
            },
        ));
    }
    changes
}

/// Counts changes by kind.
pub(super) fn report(tree: &Tree, changes: &[(ChangeKind, AreaChange)]) -> ImportReport {
    let count = |kind: ChangeKind| changes.iter().filter(|(other, _)| *other == kind).count();
    ImportReport {
        rows: tree.len(),
        version: None,
        added: count(ChangeKind::Added),
        renamed: count(ChangeKind::Renamed),
        moved: count(ChangeKind::Moved),
        retired: count(ChangeKind::Retired),
        restored: count(ChangeKind::Restored),
    }
}

/// A level's code in files and in the database.
pub(super) fn level_code(level: AreaLevel) -> &'static str {
    match level {
        AreaLevel::City => "city",
        AreaLevel::District => "district",
        AreaLevel::Street => "street",
        AreaLevel::Village => "village",
    }
}

#[derive(Debug, Default)]
struct Found(Vec<(u64, &'static str, &'static str)>);

impl Found {
    fn add(&mut self, line: u64, code: &'static str, message: &'static str) {
        self.0.push((line, code, message));
    }

    fn into_error(self) -> crate::error::ApiError {
        let mut problems = Problems::default();
        for (line, code, message) in self.0.iter().take(NAMED_PROBLEMS) {
            problems.add(
                &format!("lines/{line}"),
                code,
                format!("第 {line} 行：{message}"),
            );
        }
        match problems.finish() {
            Err(error) => error,
            Ok(()) => crate::error::ApiError::field("file", "unreadable", "文件无法读取"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
    use super::*;

    const SMALL: &str = "code,name,level,parent\n310000000000,上海市,city,\n310101000000,黄浦区,district,310000000000\n\
        310101002000,南京东路街道,street,310101000000\n310101002001,云南中路居委会,village,310101002000\n";

    fn rows(tree: &Tree) -> Vec<AreaRow> {
        tree.iter()
            .map(|(code, entry)| AreaRow {
                code: *code,
                name: entry.name.clone(),
                parent: entry.parent.map(|parent| parent.to_string()),
                changed_in: 1,
                retired_in: None,
            })
            .collect()
    }

    #[test]
    fn the_citys_tree_reads_and_equals_itself() {
        let tree = read(SMALL.as_bytes()).unwrap();
        assert_eq!(tree.len(), 4);
        assert!(compare(&rows(&tree), &tree).is_empty());
        assert_eq!(report(&tree, &compare(&[], &tree)).added, 4);
    }

    #[test]
    fn every_wrong_row_is_named_at_once() {
        let file = "code,name,level,parent\n310000000000,上海市,city,\n31010100000,黄浦区,district,310000000000\n\
            310104000000,,district,310000000000\n310105000000,长宁区,street,310000000000\n\
            310106001001,孤儿居委会,village,310106001000\n310104000000,徐汇区,district,310000000000\n";
        let error = read(file.as_bytes()).unwrap_err();
        let found: Vec<(&str, &str)> = error
            .fields
            .iter()
            .map(|field| (field.path.as_str(), field.code.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("lines/3", "code"),
                ("lines/4", "name"),
                ("lines/5", "level"),
                ("lines/7", "twice"),
                ("lines/6", "parent")
            ]
        );
    }

    #[test]
    fn renamed_retired_and_restored_areas_are_told_apart() {
        let tree = read(SMALL.as_bytes()).unwrap();
        let mut present = rows(&tree);
        present[1].name = "南市区".into();
        present[3].retired_in = Some(1);
        let smaller: Tree = tree
            .clone()
            .into_iter()
            .filter(|(code, _)| code.as_str() != "310101002000")
            .collect();
        let kinds: Vec<(ChangeKind, String)> = compare(&present, &smaller)
            .into_iter()
            .map(|(kind, change)| (kind, change.code))
            .collect();
        assert_eq!(
            kinds,
            [
                (ChangeKind::Renamed, "310101000000".to_owned()),
                (ChangeKind::Restored, "310101002001".to_owned()),
                (ChangeKind::Retired, "310101002000".to_owned()),
            ]
        );
    }
}
