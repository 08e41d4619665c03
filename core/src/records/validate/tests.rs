//! What validation says, and what it lets through.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::records::{all, record_type};
use crate::value::Fields;

fn fields(pairs: &[(&str, Value)]) -> Fields {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), v.clone()))
        .collect()
}

fn has_errors(problems: &[FieldProblem]) -> bool {
    problems.iter().any(|p| p.severity == Severity::Error)
}

fn t(text: &str) -> Value {
    Value::from(text)
}

fn person() -> Fields {
    fields(&[
        ("_type", t("resident")),
        ("name", t("叶海思")),
        ("certificate_kind", t("111")),
        ("id_number", t("11010519491231002X")),
        ("sex", t("2")),
        ("birth_date", t("1949-12-31")),
        ("population_kind", t("01")),
        ("tags/elderly", Value::Bool(true)),
    ])
}

fn found(name: &str, fields: &Fields, mode: Mode) -> Vec<(String, String)> {
    let problems = validate(record_type(name).unwrap(), fields, mode);
    problems
        .into_iter()
        .map(|p| (p.path, p.code.into_owned()))
        .collect()
}

fn changed(pairs: &[(&str, Value)]) -> Vec<(String, String)> {
    let mut person = person();
    person.extend(fields(pairs));
    found("resident", &person, Mode::Whole)
}

fn only(path: &str, code: &str) -> Vec<(String, String)> {
    vec![(path.to_owned(), code.to_owned())]
}

#[test]
fn a_right_record_has_no_problem() {
    assert_eq!(found("resident", &person(), Mode::Whole), []);
    assert_eq!(found("resident", &Fields::new(), Mode::Partial), []);
}

#[test]
fn every_wrong_field_is_named_at_once_in_the_order_of_the_form() {
    let wrong = fields(&[
        ("sex", t("7")),
        ("id_number", t("110105194912310020")),
        ("birth_date", t("1949-02-30")),
        ("phone", t("12")),
        ("nickname", t("小叶")),
        ("tags", Value::Bool(true)),
        ("name/x", t("y")),
        ("portrait", t("abc")),
        ("away", t("是")),
        (
            "guardians/g1",
            t("{\"name\":\"王五\",\"phone\":\"1\",\"pet\":\"狗\"}"),
        ),
    ]);
    let problems = validate(record_type("resident").unwrap(), &wrong, Mode::Whole);
    let found: Vec<_> = problems
        .iter()
        .map(|p| (p.path.as_str(), p.code.as_ref()))
        .collect();
    for expected in [
        ("name", "required"),
        ("population_kind", "required"),
        ("id_number", "check_digit"),
        ("sex", "unknown_code"),
        ("birth_date", "date"),
        ("nickname", "unknown_field"),
        ("tags", "unknown_field"),
        ("name/x", "unknown_field"),
        ("portrait", "blob_digest"),
        ("away", "wrong_type"),
        ("guardians/g1/pet", "unknown_field"),
        ("guardians/g1/relation", "required"),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    assert!(problems.iter().any(|p| p.path == "phone"));
    assert!(problems.iter().any(|p| p.path == "guardians/g1/phone"));
    assert!(
        problems.iter().all(|p| p.message.ends_with('。')),
        "{problems:?}"
    );
    let position = |path| found.iter().position(|(p, _)| *p == path).unwrap();
    assert!(position("name") < position("id_number") && position("id_number") < position("phone"));
}

#[test]
fn unknown_codes_are_warnings() {
    let mut person = person();
    person.extend(fields(&[
        ("nationality", t("77")),
        ("tags/new_tag", Value::Bool(true)),
    ]));
    let problems = validate(record_type("resident").unwrap(), &person, Mode::Whole);
    assert_eq!(problems.len(), 2);
    assert!(!has_errors(&problems));
}

#[test]
fn the_number_is_compared_with_birth_date_and_sex() {
    assert_eq!(
        changed(&[("birth_date", t("1949-12-13"))]),
        only("birth_date", "id_birth_mismatch")
    );
    assert_eq!(changed(&[("sex", t("1"))]), only("sex", "id_sex_mismatch"));
    assert_eq!(changed(&[("sex", t("9"))]), [], "unstated doesn't disagree");
    let both = changed(&[("sex", t("1")), ("birth_date", t("1949-12-13"))]);
    assert_eq!(both.len(), 2);
    let mut wrong = person();
    wrong.insert("sex".to_owned(), t("1"));
    assert!(!has_errors(&validate(
        record_type("resident").unwrap(),
        &wrong,
        Mode::Whole
    )));
}

#[test]
fn another_register_may_hold_a_wrong_number() {
    let mut wrong = person();
    wrong.insert("id_number".to_owned(), t("110105194912310020"));
    let rt = record_type("resident").unwrap();
    assert!(has_errors(&validate(rt, &wrong, Mode::Whole)));
    assert!(!has_errors(&validate(rt, &wrong, Mode::Imported)));
}

#[test]
fn a_required_field_can_be_left_alone_but_not_cleared() {
    let edit = fields(&[("phone", t("13329620436"))]);
    assert_eq!(found("resident", &edit, Mode::Partial), []);
    let clear = fields(&[("name", Value::Null), ("phone", Value::Null)]);
    assert_eq!(
        found("resident", &clear, Mode::Partial),
        only("name", "required")
    );
    assert_eq!(
        found("resident", &fields(&[("sex", t(" "))]), Mode::Partial),
        only("sex", "required")
    );
}

#[test]
fn rules_over_several_fields() {
    assert_eq!(
        changed(&[("status", t("cancelled"))]),
        only("cancel_reason", "cancel_reason_required")
    );
    assert_eq!(
        changed(&[("status", t("cancelled")), ("cancel_reason", t("3"))]),
        []
    );
    assert_eq!(
        changed(&[("away", Value::Bool(true))]),
        only("away_from", "away_from_required")
    );
    assert_eq!(
        changed(&[
            ("away_from", t("2026-05-01")),
            ("away_expected_return", t("2026-04-30"))
        ]),
        only("away_expected_return", "return_before_leaving")
    );
    let tie = |pairs: &[(&str, Value)]| {
        let mut tie = fields(&[
            ("resident", t("01890a5d-ac96-774b-bcce-b302099a8057")),
            ("kind", t("living")),
            ("address", t("陕西中路12弄28号1702室")),
        ]);
        tie.extend(fields(pairs));
        found("residence", &tie, Mode::Whole)
    };
    assert_eq!(tie(&[]), []);
    assert_eq!(
        tie(&[("address", Value::Null)]),
        only("house", "house_or_address_required")
    );
    assert_eq!(
        tie(&[("from", t("2026-05-01")), ("until", t("2026-04-30"))]),
        only("until", "until_before_from")
    );
    assert_eq!(
        tie(&[("share_percent", t("100.5"))]),
        only("share_percent", "out_of_range")
    );
    assert_eq!(tie(&[("house", t("H1"))]), only("house", "reference"));
    assert_eq!(
        found(
            "visit",
            &fields(&[("longitude", t("121.47"))]),
            Mode::Partial
        ),
        only("latitude", "location_incomplete")
    );
}

#[test]
fn future_dates_are_noticed_when_today_is_known() {
    let mut born = person();
    born.insert("registered_on".to_owned(), t("2026-11-25"));
    let rt = record_type("resident").unwrap();
    let on = |day| {
        validate_on(
            rt,
            &born,
            Mode::Whole,
            NaiveDate::from_ymd_opt(2026, 11, day),
        )
        .len()
    };
    assert_eq!((on(24), on(25)), (1, 0));
    assert_eq!(validate(rt, &born, Mode::Whole), []);
}

#[test]
fn lengths_and_characters_are_bounded() {
    assert_eq!(
        changed(&[("remark", t(&"长".repeat(501)))]),
        only("remark", "too_long")
    );
    assert_eq!(changed(&[("remark", t(&"长".repeat(500)))]), []);
    assert_eq!(
        changed(&[("remark", t("a\u{0}b"))]),
        only("remark", "control_character")
    );
    assert_eq!(
        changed(&[("guardians/", t("{}"))]),
        only("guardians/", "element_key")
    );
    assert_eq!(
        changed(&[("guardians/a", t("[1]"))]),
        only("guardians/a", "item_json")
    );
    assert_eq!(
        changed(&[("register_division", t("31010"))]),
        only("register_division", "digits")
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<String>().prop_map(Value::Text),
        "[0-9X-]{0,20}".prop_map(Value::Text),
        r#"\{"name":"[a-z]{0,5}","resident":[0-9]{1,3}\}"#.prop_map(Value::Text),
    ]
}

fn any_key() -> impl Strategy<Value = String> {
    let names: Vec<String> = all()
        .iter()
        .flat_map(|t| &t.fields)
        .map(|f| f.name.clone())
        .collect();
    let name = prop::sample::select(names);
    prop_oneof![
        name.clone(),
        (name, ".{0,8}").prop_map(|(n, e)| format!("{n}/{e}")),
        any::<String>()
    ]
}

proptest! {
    #[test]
    fn validation_never_panics_and_never_repeats_a_value(
        fields in prop::collection::btree_map(any_key(), any_value(), 0..12),
        secret in "[甲乙丙丁]{6}",
    ) {
        for rt in all() {
            for mode in [Mode::Whole, Mode::Partial, Mode::Imported] {
                let mut fields = fields.clone();
                fields.insert("remark".to_owned(), Value::Text(format!("{secret}\u{0}")));
                for problem in validate_on(rt, &fields, mode, NaiveDate::from_ymd_opt(2026, 1, 1)) {
                    prop_assert!(!problem.code.is_empty() && !problem.message.is_empty());
                    prop_assert!(!problem.message.contains(&secret));
                }
            }
        }
    }

    #[test]
    fn an_edit_never_has_more_errors_than_the_whole(
        fields in prop::collection::btree_map(any_key(), any_value(), 0..12),
    ) {
        for rt in all() {
            let whole = validate(rt, &fields, Mode::Whole);
            for problem in validate(rt, &fields, Mode::Partial) {
                prop_assert!(whole.contains(&problem), "{:?}", problem);
            }
        }
    }
}
