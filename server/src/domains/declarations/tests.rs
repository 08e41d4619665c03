//! That forms and lists are told all that core declares.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_core::records;

use super::model::{Declarations, DeclaredField, ValueKind};

fn field<'a>(shown: &'a Declarations, of: &str, name: &str) -> &'a DeclaredField {
    let declared = shown.types.iter().find(|shown| shown.name == of).unwrap();
    declared
        .fields
        .iter()
        .find(|field| field.name == name)
        .unwrap()
}

#[test]
fn every_declared_field_is_shown_with_the_table_that_its_codes_are_of() {
    let shown = Declarations::built_in();
    assert_eq!(shown.types.len(), records::all().len());
    for (declared, view) in records::all().iter().zip(&shown.types) {
        assert_eq!(declared.fields.len(), view.fields.len(), "{}", view.name);
        let inner = view.fields.iter().flat_map(|field| &field.fields);
        for field in view.fields.iter().chain(inner) {
            let coded = matches!(field.kind, ValueKind::Code | ValueKind::Codes);
            assert_eq!(coded, field.table.is_some(), "{}", field.name);
            if let Some(table) = field.table {
                let codes = shown.tables.iter().find(|shown| shown.name == table);
                assert!(!codes.expect(table).codes.is_empty(), "{table}");
            }
            assert!(
                field.group.is_empty() || view.groups.iter().any(|group| group == field.group),
                "{}",
                field.name
            );
        }
    }
}

#[test]
fn masks_rights_and_filters_are_told_field_by_field() {
    let shown = Declarations::built_in();
    let number = field(&shown, "resident", "id_number");
    assert!(number.masked && number.personal && number.police && !number.narrows);
    assert!(field(&shown, "resident", "tags").narrows && field(&shown, "resident", "away").narrows);
    assert!(field(&shown, "house", "house_use").narrows);
    assert!(
        !field(&shown, "house", "address").narrows && !field(&shown, "house", "address").masked
    );
    assert!(
        !field(&shown, "house", "house_code")
            .writers
            .contains(&"supervisor")
    );
    assert!(field(&shown, "resident", "status").own_operation && !number.own_operation);
    let guardians = field(&shown, "resident", "guardians");
    assert_eq!(guardians.kind, ValueKind::Items);
    assert!(
        guardians
            .fields
            .iter()
            .any(|field| field.record == Some("resident"))
    );
}
