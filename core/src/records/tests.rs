//! The laws that the built-in declarations keep.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::codes;
use crate::rights::Role;

/// Columns of the community's export (heads) and of the police feeds, which must all have a place.
const RESIDENT_HEADS: &str = "社区人员编号,姓名,证件种类,证件号码,性别,民族,出生日期,手机号码,户籍地址,居住地址,居村委编码,人员类别,与户主关系,婚姻状况,文化程度,政治面貌,标签,备注,更新时间";
const HOUSE_HEADS: &str = "社区房屋编号,居住地址,居村委编码,房屋用途,面积,更新时间";
const RK: &str = "police_person_id id_number certificate_kind name former_name sex nationality birth_date register_division register_address standard_address_code living_address population_kind relation_to_head household_number phone marital_status education political_status workplace stay_reason registered_on cancelled cancel_reason cancelled_on photo_file updated_at";
const FW: &str = "house_code standard_address_code address house_use owner_name owner_id_number floor_area_m2 rooms tenant_name registered_on cancelled updated_at";

fn every_field() -> impl Iterator<Item = (String, &'static Field)> {
    all().iter().flat_map(|t| {
        t.fields.iter().flat_map(move |f| {
            let inner = match &f.kind {
                FieldKind::Items(fields) => fields.as_slice(),
                _ => &[],
            };
            std::iter::once(f)
                .chain(inner)
                .map(move |one| (format!("{}.{}.{}", t.name, f.name, one.name), one))
        })
    })
}

#[test]
fn every_built_in_declaration_can_be_used() {
    for (name, text) in SOURCES {
        let record_type = parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(record_type.name, name);
    }
    assert_eq!(all().len(), SOURCES.len());
}

#[test]
fn every_field_says_what_it_is_and_why_it_is_held() {
    for (at, field) in every_field() {
        assert!(!field.label.trim().is_empty(), "{at}: label");
        assert!(field.purpose.chars().count() >= 10, "{at}: purpose");
        assert!(!field.writers.is_empty(), "{at}: writers");
        assert!(
            field.may_write(Role::Server),
            "{at}: the server carries imports and decisions"
        );
        for role in [Role::SecurityAdministrator, Role::Auditor] {
            assert!(
                !field.may_write(role),
                "{at}: {role:?} must not touch the register"
            );
        }
        if let Some(table) = field.table() {
            assert!(codes::table(table).is_some(), "{at}: {table}");
        }
        if let FieldKind::Reference(name) = &field.kind {
            assert!(record_type(name).is_some(), "{at}: {name}");
        }
        if field.kind == FieldKind::IdNumber {
            assert_eq!(field.sensitivity, Sensitivity::Secret, "{at}");
        }
    }
}

#[test]
fn the_review_fields_are_the_key_fields() {
    let review: BTreeMap<&str, BTreeSet<&str>> = all()
        .iter()
        .map(|t| {
            let review = t.fields.iter().filter(|f| f.merge == Merge::Review);
            (t.name.as_str(), review.map(|f| f.name.as_str()).collect())
        })
        .collect();
    let resident = [
        "name",
        "certificate_kind",
        "id_number",
        "sex",
        "birth_date",
        "nationality",
        "population_kind",
        "register_address",
        "status",
    ];
    assert_eq!(review["resident"], BTreeSet::from(resident));
    assert_eq!(review["house"], BTreeSet::from(["status"]));
    assert_eq!(review["residence"], BTreeSet::from(["main", "status"]));
    assert!(review["visit"].is_empty(), "events never merge");
}

#[test]
fn the_police_have_authority_over_identity_and_register() {
    let resident = record_type("resident").unwrap();
    for name in [
        "id_number",
        "certificate_kind",
        "name",
        "sex",
        "birth_date",
        "nationality",
        "register_address",
    ] {
        assert_eq!(
            resident.named(name).unwrap().authority,
            Authority::Police,
            "{name}"
        );
    }
    for name in ["phone", "tags", "away_place", "remark"] {
        assert_eq!(
            resident.named(name).unwrap().authority,
            Authority::Community,
            "{name}"
        );
    }
    assert_eq!(
        record_type("residence")
            .unwrap()
            .named("main")
            .unwrap()
            .authority,
        Authority::Community
    );
}

#[test]
fn records_that_can_be_cancelled_say_why() {
    for name in ["resident", "house", "residence"] {
        let t = record_type(name).unwrap();
        for field in ["status", "cancel_reason", "cancelled_on", "cancel_note"] {
            assert!(t.field(field).is_some(), "{name}.{field}");
        }
    }
}

#[test]
fn every_column_of_the_registers_has_a_place() {
    let has_head = |types: &[&str], head: &str| {
        types.iter().any(|t| {
            record_type(t)
                .unwrap()
                .fields
                .iter()
                .any(|f| f.import.iter().any(|h| h == head))
        })
    };
    for head in RESIDENT_HEADS.split(',') {
        assert!(has_head(&["resident", "residence"], head), "{head}");
    }
    for head in HOUSE_HEADS.split(',') {
        assert!(has_head(&["house"], head), "{head}");
    }
    for (feed, columns) in [("RK", RK), ("FW", FW)] {
        for column in columns.split(' ') {
            let tag = format!("{feed}.{column}");
            let hits = every_field().filter(|(_, f)| f.feed.contains(&tag)).count();
            assert_eq!(hits, 1, "{tag}");
        }
    }
}

#[test]
fn no_head_means_two_fields_of_one_type() {
    for t in all() {
        let mut seen = BTreeMap::new();
        for field in &t.fields {
            for head in &field.import {
                assert_eq!(seen.insert(head, &field.name), None, "{}: {head}", t.name);
            }
        }
    }
}

#[test]
fn keys_of_the_document_find_their_field() {
    let resident = record_type("resident").unwrap();
    assert_eq!(resident.field("tags/elderly").unwrap().name, "tags");
    assert_eq!(resident.field("name").unwrap().name, "name");
    for key in ["tags", "name/x", "_type", "nobody", "", "/"] {
        assert!(resident.field(key).is_none(), "{key}");
    }
}
