//! Lists and search.

use std::collections::BTreeSet;

use super::{edited, hash_of, new_record, record_id, words, write};
use crate::ids::RecordId;
use crate::store::{DeviceStore, ListQuery, RecordWrite, WriteBatch};

pub(super) fn all<S: DeviceStore>(make: &impl Fn() -> S) {
    a_list_shows_winning_values_by_id(make());
    a_list_is_cut_into_pages(make());
    cancelled_records_are_shown_on_request(make());
    a_record_is_found_by_its_present_words(make());
    a_term_is_any_of_its_tokens(make());
    linked_records_are_found(make());
    a_record_is_pending_until_every_change_is_confirmed(make());
}

fn ids<S: DeviceStore>(store: &S, query: &ListQuery) -> Vec<RecordId> {
    let found = store.list(query).unwrap();
    found.into_iter().map(|listed| listed.id).collect()
}

fn everything() -> ListQuery {
    ListQuery {
        limit: 100,
        ..ListQuery::default()
    }
}

fn found<S: DeviceStore>(store: &S, text: &str) -> Vec<RecordId> {
    let text = text.to_owned();
    ids(
        store,
        &ListQuery {
            text,
            ..everything()
        },
    )
}

fn a_list_shows_winning_values_by_id<S: DeviceStore>(mut store: S) {
    let (first, second) = (
        new_record(1, &[("name", "甲"), ("note", "")]),
        new_record(2, &[("name", "乙")]),
    );
    write(&mut store, vec![second.clone(), first.clone()]);
    let listed = store.list(&everything()).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!([listed[0].id, listed[1].id], [record_id(1), record_id(2)]);
    assert_eq!(listed[0].fields, first.projection.fields);
    assert_eq!(listed[0].record_type, "resident");
    let houses = ListQuery {
        record_type: Some("house".to_owned()),
        ..everything()
    };
    assert_eq!(ids(&store, &houses), []);
}

fn a_list_is_cut_into_pages<S: DeviceStore>(mut store: S) {
    write(
        &mut store,
        (1..=9).map(|n| new_record(n, &[("name", "甲")])).collect(),
    );
    let page = |offset, limit| ListQuery {
        offset,
        limit,
        ..ListQuery::default()
    };
    assert_eq!(ids(&store, &page(0, 4)), [1, 2, 3, 4].map(record_id));
    assert_eq!(ids(&store, &page(7, 4)), [8, 9].map(record_id));
    assert_eq!(ids(&store, &page(9, 4)), []);
    assert_eq!(ids(&store, &page(0, 0)), []);
    assert_eq!(ids(&store, &page(0, usize::MAX)).len(), 9);
    assert_eq!(ids(&store, &page(usize::MAX, 1)), []);
}

fn cancelled_records_are_shown_on_request<S: DeviceStore>(mut store: S) {
    let record = new_record(1, &[("name", "甲"), ("status", "active")]);
    let cancelled = edited(record.record.clone(), &[("status", "cancelled")]);
    write(&mut store, vec![record, new_record(2, &[("name", "乙")])]);
    assert_eq!(ids(&store, &everything()).len(), 2);
    write(&mut store, vec![cancelled]);
    assert_eq!(ids(&store, &everything()), [record_id(2)]);
    let with_cancelled = ListQuery {
        cancelled: true,
        ..everything()
    };
    assert_eq!(ids(&store, &with_cancelled), [1, 2].map(record_id));
    assert_eq!(store.count(Some("resident")).unwrap(), 2);
}

fn a_record_is_found_by_its_present_words<S: DeviceStore>(mut store: S) {
    let mut record = new_record(1, &[("name", "叶海")]);
    let mut other = new_record(2, &[("name", "叶海")]);
    record.projection.tokens = words("alpha beta").into_iter().collect();
    other.projection.tokens = words("alpha gamma").into_iter().collect();
    write(&mut store, vec![record.clone(), other]);
    assert_eq!(found(&store, "alpha"), [1, 2].map(record_id));
    assert_eq!(found(&store, "alpha beta"), [record_id(1)]);
    assert_eq!(found(&store, "beta gamma"), []);
    assert_eq!(found(&store, "delta"), []);
    assert_eq!(found(&store, "  ").len(), 2);

    let mut renamed = edited(record.record, &[("name", "叶海洋")]);
    renamed.projection.tokens = words("beta delta").into_iter().collect();
    write(&mut store, vec![renamed]);
    assert_eq!(found(&store, "alpha"), [record_id(2)]);
    assert_eq!(found(&store, "beta delta"), [record_id(1)]);

    // An edit of something else says nothing of the words, and leaves them.
    let record = store.record(record_id(1)).unwrap().unwrap();
    let mut elsewhere = edited(record, &[("phone", "13800000000")]);
    (elsewhere.projection.tokens, elsewhere.same_tokens) = (BTreeSet::new(), true);
    write(&mut store, vec![elsewhere]);
    assert_eq!(found(&store, "beta delta"), [record_id(1)]);

    let purge = vec![record_id(1)];
    store
        .commit(WriteBatch {
            purge,
            ..WriteBatch::default()
        })
        .unwrap();
    assert_eq!(found(&store, "beta"), []);
    assert_eq!(found(&store, "alpha"), [record_id(2)]);
}

/// Tokens are compared whole, whatever they are made of: no folding, no stemming, no syntax.
fn a_term_is_any_of_its_tokens<S: DeviceStore>(mut store: S) {
    let mut expected = Vec::new();
    let mut writes = Vec::new();
    for (n, token) in words("alpha").into_iter().enumerate() {
        let n = u8::try_from(n + 1).unwrap();
        let mut record = new_record(n, &[("name", "甲")]);
        record.projection.tokens = [token.clone()].into();
        writes.push(record);
        expected.push(record_id(n));
        for near in [
            token.to_uppercase(),
            format!("{token}s"),
            format!("{token} x"),
        ] {
            let n = u8::try_from(100 + writes.len()).unwrap();
            let mut record = new_record(n, &[("name", "甲")]);
            record.projection.tokens = [near].into();
            writes.push(record);
        }
    }
    write(&mut store, writes);
    assert_eq!(found(&store, "alpha"), expected);
    for hostile in ["\"", "' OR 1=1 --", "a* NEAR b", "\u{0}", "%_"] {
        found(&store, hostile);
    }
}

fn linked_records_are_found<S: DeviceStore>(mut store: S) {
    let link = |write: RecordWrite, field: &str, to: u8| {
        let mut write = write;
        write.projection.links = vec![(field.to_owned(), record_id(to))];
        write
    };
    let first = new_record(1, &[("name", "甲")]);
    let second = link(new_record(2, &[("name", "乙")]), "house", 9);
    let mut third = link(new_record(3, &[("name", "丙")]), "house", 9);
    third
        .projection
        .links
        .push(("resident".to_owned(), record_id(1)));
    write(&mut store, vec![first, second.clone(), third]);
    let to = |n| ListQuery {
        linked_to: Some(record_id(n)),
        ..everything()
    };
    assert_eq!(ids(&store, &to(9)), [2, 3].map(record_id));
    assert_eq!(ids(&store, &to(1)), [record_id(3)]);
    assert_eq!(ids(&store, &to(2)), []);
    let moved = link(edited(second.record, &[("note", "moved")]), "house", 8);
    write(&mut store, vec![moved]);
    assert_eq!(ids(&store, &to(9)), [record_id(3)]);
    assert_eq!(ids(&store, &to(8)), [record_id(2)]);
}

fn a_record_is_pending_until_every_change_is_confirmed<S: DeviceStore>(mut store: S) {
    let first = new_record(1, &[("name", "甲")]);
    let second = edited(first.record.clone(), &[("name", "乙")]);
    write(&mut store, vec![first.clone(), second.clone()]);
    let pending = |store: &S| store.list(&everything()).unwrap()[0].pending;
    assert!(pending(&store));
    for (confirm, expected) in [(hash_of(&first), true), (hash_of(&second), false)] {
        let confirm = RecordWrite {
            add: Vec::new(),
            confirm: vec![confirm],
            ..second.clone()
        };
        write(&mut store, vec![confirm]);
        assert_eq!(pending(&store), expected);
    }
}
