//! What is to be sent, what is under way, what was refused.

use super::{area, change_item, event_item, hash_of, new_record, queue, record_id, visit};
use crate::envelope::Item;
use crate::envelope::SignedEnvelope;
use crate::protocol::frames::{Refusal, Unsent};
use crate::store::{DeviceStore, SavedEnvelope, WriteBatch};
use crate::time::Timestamp;

pub(super) fn all<S: DeviceStore>(make: &impl Fn() -> S) {
    items_keep_order_and_content(make());
    ids_are_never_used_again(make());
    an_item_is_in_one_envelope_or_free(make());
    an_envelope_stays_byte_for_byte(make());
    unsent_is_counted_and_aged(make());
    refusals_are_kept_newest_first_until_dismissed(make());
    one_batch_settles_everything(make());
}

fn ids<S: DeviceStore>(store: &S) -> Vec<u64> {
    let items = store.outbox().unwrap();
    items.into_iter().map(|item| item.id).collect()
}

fn free<S: DeviceStore>(store: &S) -> Vec<u64> {
    let items = store.queued(100).unwrap();
    items.into_iter().map(|item| item.id).collect()
}

fn unqueue<S: DeviceStore>(store: &mut S, unqueue: Vec<u64>) {
    store
        .commit(WriteBatch {
            unqueue,
            ..WriteBatch::default()
        })
        .unwrap();
}

fn envelope(seq: u64, items: &[u64]) -> SavedEnvelope {
    SavedEnvelope {
        seq,
        signed: SignedEnvelope {
            body: (0..=255).cycle().take(600).collect(),
            signature: vec![seq as u8; 64],
        },
        items: items.to_vec(),
    }
}

fn seal<S: DeviceStore>(store: &mut S, envelope: SavedEnvelope) {
    store
        .commit(WriteBatch {
            envelope: Some(envelope),
            ..WriteBatch::default()
        })
        .unwrap();
}

fn answer<S: DeviceStore>(store: &mut S, answered: Vec<u64>, unqueue: Vec<u64>) {
    store
        .commit(WriteBatch {
            answered,
            unqueue,
            ..WriteBatch::default()
        })
        .unwrap();
}

fn items_keep_order_and_content<S: DeviceStore>(mut store: S) {
    let record = new_record(1, &[("name", "甲")]);
    let event = event_item(&visit(1, record_id(1), area()));
    let batch = WriteBatch {
        queue: vec![
            (change_item(&record), Some(hash_of(&record)), Timestamp(5)),
            (event.clone(), None, Timestamp(4)),
        ],
        ..WriteBatch::default()
    };
    store.commit(batch).unwrap();
    queue(&mut store, &[3]);
    let items = store.outbox().unwrap();
    assert_eq!(items.len(), 3);
    assert!(items.is_sorted_by(|one, next| one.id < next.id));
    assert_eq!(items[0].item, change_item(&record));
    assert_eq!(items[0].hash, Some(hash_of(&record)));
    assert_eq!(items[0].made_at, Timestamp(5));
    assert_eq!(items[1].item, event);
    assert_eq!(items[1].hash, None);
    assert_eq!(store.queued(2).unwrap(), items[..2]);
    assert_eq!(store.queued(0).unwrap(), []);
}

fn ids_are_never_used_again<S: DeviceStore>(mut store: S) {
    queue(&mut store, &[1, 2, 3]);
    let first = ids(&store);
    let last = first[2];
    unqueue(&mut store, first);
    assert!(ids(&store).is_empty());
    queue(&mut store, &[4]);
    assert!(ids(&store)[0] > last);

    let under_way = ids(&store);
    seal(&mut store, envelope(7, &under_way));
    answer(&mut store, vec![7], under_way);
    assert_eq!(store.envelopes().unwrap(), []);
    assert_eq!(store.last_envelope().unwrap(), 7);
}

fn an_item_is_in_one_envelope_or_free<S: DeviceStore>(mut store: S) {
    queue(&mut store, &[1, 2, 3, 4, 5]);
    let all = ids(&store);
    seal(&mut store, envelope(1, &all[..2]));
    seal(&mut store, envelope(2, &all[2..4]));
    assert_eq!(free(&store), all[4..]);
    assert_eq!(ids(&store), all);
    // The first is answered: one item is done, the other has to wait and goes up again, before those made later.
    answer(&mut store, vec![1], vec![all[0]]);
    assert_eq!(free(&store), [all[1], all[4]]);
    assert_eq!(ids(&store), all[1..]);
    let left = store.envelopes().unwrap();
    assert_eq!(left, [envelope(2, &all[2..4])]);
}

fn an_envelope_stays_byte_for_byte<S: DeviceStore>(mut store: S) {
    queue(&mut store, &[1, 2]);
    let all = ids(&store);
    let (first, second) = (envelope(1, &[all[1], all[0]]), envelope(2, &[]));
    seal(&mut store, second.clone());
    seal(&mut store, first.clone());
    assert_eq!(store.envelopes().unwrap(), [first, second]);
    assert_eq!(store.last_envelope().unwrap(), 2);
}

fn unsent_is_counted_and_aged<S: DeviceStore>(mut store: S) {
    assert_eq!(store.unsent().unwrap(), Unsent::default());
    // A phone's clock may have gone back.
    queue(&mut store, &[9, 4, 6]);
    let expect = |items, oldest| Unsent {
        items,
        blobs: 0,
        oldest: Some(Timestamp(oldest)),
    };
    assert_eq!(store.unsent().unwrap(), expect(3, 4));
    let all = ids(&store);
    seal(&mut store, envelope(1, &all));
    assert_eq!(store.unsent().unwrap(), expect(3, 4));
    answer(&mut store, vec![1], vec![all[1]]);
    assert_eq!(store.unsent().unwrap(), expect(2, 6));
}

type Refused = (Item, Refusal, Timestamp);

fn refused_item(n: u8) -> Refused {
    let refusal = Refusal {
        code: "out_of_scope".to_owned(),
        field: (n == 2).then(|| "name".to_owned()),
        message: "已转给主管处理。".to_owned(),
    };
    let item = event_item(&visit(n, record_id(1), area()));
    (item, refusal, Timestamp(i64::from(n)))
}

/// What was refused, newest first, with the numbers.
fn kept<S: DeviceStore>(store: &S) -> (Vec<u64>, Vec<Refused>) {
    let kept = store.refused().unwrap().into_iter();
    kept.map(|kept| (kept.id, (kept.item, kept.refusal, kept.at)))
        .unzip()
}

fn refusals_are_kept_newest_first_until_dismissed<S: DeviceStore>(mut store: S) {
    for refused in [
        vec![refused_item(1), refused_item(2)],
        vec![refused_item(3)],
    ] {
        store
            .commit(WriteBatch {
                refused,
                ..WriteBatch::default()
            })
            .unwrap();
    }
    let (ids, refused) = kept(&store);
    assert_eq!(refused, [3, 2, 1].map(refused_item));
    assert!(ids.is_sorted_by(|newer, older| newer > older));

    dismiss(&mut store, vec![ids[0], ids[2], 99]);
    assert_eq!(kept(&store), (vec![ids[1]], vec![refused_item(2)]));
    // A number names what was shown under it, and nothing that comes later.
    dismiss(&mut store, vec![ids[1]]);
    let refused = vec![refused_item(4)];
    store
        .commit(WriteBatch {
            refused,
            ..WriteBatch::default()
        })
        .unwrap();
    assert!(kept(&store).0[0] > ids[0]);
}

fn dismiss<S: DeviceStore>(store: &mut S, dismiss: Vec<u64>) {
    store
        .commit(WriteBatch {
            dismiss,
            ..WriteBatch::default()
        })
        .unwrap();
}

/// What the answer to an envelope does: an item done, one refused, one replaced by a replay, a record mended.
fn one_batch_settles_everything<S: DeviceStore>(mut store: S) {
    queue(&mut store, &[1, 2, 3, 4]);
    let all = ids(&store);
    seal(&mut store, envelope(1, &all[..3]));
    let record = new_record(1, &[("name", "甲")]);
    store
        .commit(WriteBatch {
            records: vec![record.clone()],
            queue: vec![(change_item(&record), Some(hash_of(&record)), Timestamp(3))],
            unqueue: all[..3].to_vec(),
            answered: vec![1],
            refused: vec![refused_item(1)],
            ..WriteBatch::default()
        })
        .unwrap();
    assert_eq!(store.envelopes().unwrap(), []);
    let left = store.outbox().unwrap();
    assert_eq!(left.len(), 2);
    assert_eq!(left[0].id, all[3]);
    assert_eq!(left[1].hash, Some(hash_of(&record)));
    assert_eq!(store.record(record_id(1)).unwrap(), Some(record.record));
    assert_eq!(kept(&store).1, [refused_item(1)]);
}
