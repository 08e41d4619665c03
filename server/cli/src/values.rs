//! `key=value` arguments into a record's fields, by its declaration: labels or names, codes or what they mean.
//! Restates no rule: what a value may be is the declaration's to say.

use doorstep_client::Problem;
use doorstep_core::codes;
use doorstep_core::records::{self, Field, FieldKind, RecordType, SetOf};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};

use crate::failure::Failure;

/// The declared type of a name or Chinese label.
pub(crate) fn record_type(text: &str) -> Result<&'static RecordType, Failure> {
    records::all()
        .iter()
        .find(|declared| declared.name == text || declared.label == text)
        .ok_or_else(|| {
            let known: Vec<String> = records::all()
                .iter()
                .map(|declared| format!("{}（{}）", declared.name, declared.label))
                .collect();
            Failure::usage(
                "no_such_type",
                format!("没有“{text}”这种档案，可用的有：{}", known.join("、")),
            )
        })
}

/// Reads the arguments; every wrong one is named.
pub(crate) fn fields(declared: &RecordType, arguments: &[String]) -> Result<Fields, Failure> {
    let (mut fields, mut problems) = (Fields::new(), Vec::new());
    for argument in arguments {
        match one(declared, argument) {
            Ok(read) => fields.extend(read),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(fields)
    } else {
        Err(Failure::fields(problems))
    }
}

fn problem(path: &str, code: &str, message: impl Into<String>) -> Problem {
    Problem {
        path: path.to_owned(),
        code: code.to_owned(),
        message: message.into(),
    }
}

/// `姓名=张三`, `remark=` to clear, `tags+=01,02` and `tags-=01` for the elements of a set.
fn one(declared: &RecordType, argument: &str) -> Result<Fields, Problem> {
    let (key, text) = argument
        .split_once('=')
        .ok_or_else(|| problem(argument, "form", "应写成 项目=内容，例如 姓名=张三"))?;
    let (key, removes) = match (key.strip_suffix('+'), key.strip_suffix('-')) {
        (Some(key), _) => (key, false),
        (_, Some(key)) => (key, true),
        _ => (key, false),
    };
    let (name, element) = records::split_key(key);
    let field = declared
        .fields
        .iter()
        .find(|field| field.name == name || field.label == name)
        .ok_or_else(|| {
            problem(
                key,
                "unknown_field",
                format!("“{}”没有这一项", declared.label),
            )
        })?;
    if let Some(element) = element {
        let value = match text.trim() {
            "" => Value::Null,
            _ if matches!(field.kind, FieldKind::Items(_)) => Value::from(text),
            _ => Value::Bool(true),
        };
        return Ok(Fields::from([(format!("{}/{element}", field.name), value)]));
    }
    if text.trim().is_empty() && !field.is_many() {
        return Ok(Fields::from([(field.name.clone(), Value::Null)]));
    }
    if matches!(field.kind, FieldKind::DateTime) && matches!(text.trim(), "now" | "现在") {
        return Ok(Fields::from([(
            field.name.clone(),
            Value::Int(chrono::Utc::now().timestamp_millis()),
        )]));
    }
    let read = records::read::read(field, text, None)
        .map_err(|unreadable| problem(&field.name, unreadable.code, unreadable.message))?;
    Ok(if removes {
        read.into_keys().map(|key| (key, Value::Null)).collect()
    } else {
        read
    })
}

/// A value as people read it: what a code means, yes and no in words, times in Shanghai.
pub(crate) fn shown(field: &Field, key: &str, value: &Value) -> String {
    let label = |table: &str, code: &str| {
        let label = codes::table(table).and_then(|table| table.label(code).map(str::to_owned));
        label.map_or_else(|| code.to_owned(), |label| format!("{label}（{code}）"))
    };
    match (&field.kind, value) {
        (_, Value::Null) => String::new(),
        (FieldKind::Set(SetOf::Table(table)), _) => {
            label(table, records::split_key(key).1.unwrap_or_default())
        }
        (FieldKind::Set(_), _) => records::split_key(key).1.unwrap_or_default().to_owned(),
        (FieldKind::Code(table), Value::Text(code)) => label(table, code),
        (FieldKind::DateTime, Value::Int(ms)) => time(*ms),
        (_, Value::Bool(yes)) => if *yes { "是" } else { "否" }.to_owned(),
        (_, Value::Int(number)) => number.to_string(),
        (_, Value::Text(text)) => text.clone(),
    }
}

/// A time in Shanghai.
pub(crate) fn time(ms: i64) -> String {
    let local = Timestamp(ms).in_shanghai();
    local.map_or_else(String::new, |local| {
        local.format("%Y-%m-%d %H:%M:%S").to_string()
    })
}

/// All of a record's values as people read them, in the order of its form.
pub(crate) fn rows(declared: &RecordType, fields: &Fields) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for field in &declared.fields {
        let of_field = fields
            .iter()
            .filter(|(key, _)| records::split_key(key).0 == field.name);
        let shown: Vec<String> = of_field
            .map(|(key, value)| shown(field, key, value))
            .filter(|text| !text.is_empty())
            .collect();
        if !shown.is_empty() {
            rows.push((field.label.clone(), shown.join("、")));
        }
    }
    rows
}

/// What names a record to a person, from the declaration's title fields.
pub(crate) fn title(declared: &RecordType, fields: &Fields) -> String {
    let parts = declared.title.iter().filter_map(|name| {
        let field = declared.named(name)?;
        fields.get(name).map(|value| shown(field, name, value))
    });
    parts
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(arguments: &[&str]) -> Result<Fields, Failure> {
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        fields(record_type("居民").unwrap(), &arguments)
    }

    #[test]
    fn labels_and_codes_are_both_understood() {
        let fields = read(&[
            "姓名=林朝霞",
            "sex=女",
            "population_kind=户籍人口",
            "出生日期=1970年4月27日",
            "remark=",
        ])
        .unwrap();
        assert_eq!(fields["name"], Value::from("林朝霞"));
        assert_eq!(fields["sex"], Value::from("2"));
        assert_eq!(fields["population_kind"], Value::from("01"));
        assert_eq!(fields["birth_date"], Value::from("1970-04-27"));
        assert_eq!(fields["remark"], Value::Null);
    }

    #[test]
    fn sets_grow_and_shrink() {
        let table = codes::table("tag").unwrap();
        let code = table.offered().next().unwrap().code.clone();
        let key = format!("tags/{code}");
        assert_eq!(
            read(&[&format!("tags+={code}")]).unwrap()[&key],
            Value::Bool(true)
        );
        assert_eq!(
            read(&[&format!("tags-={code}")]).unwrap()[&key],
            Value::Null
        );
    }

    #[test]
    fn every_wrong_argument_is_named() {
        let failure = read(&["昵称=小林", "birth_date=哪天", "没有等号"]).unwrap_err();
        let text = format!("{failure:?}");
        for code in ["unknown_field", "\"date\"", "form"] {
            assert!(text.contains(code), "{text}");
        }
    }

    #[test]
    fn values_read_back_as_words() {
        let declared = record_type("resident").unwrap();
        let fields = read(&["姓名=林朝霞", "sex=2"]).unwrap();
        let rows = rows(declared, &fields);
        assert!(
            rows.iter()
                .any(|(label, value)| label == "性别" && value.starts_with("女"))
        );
        assert!(title(declared, &fields).contains("林朝霞"));
    }
}
