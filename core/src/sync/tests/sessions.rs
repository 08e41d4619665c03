//! A connection from its first frame on: what is said when, windows, bundles, wiping.

use super::{Phone, at, identity, other_scope, record_id, scope, sends};
use crate::envelope::Item;
use crate::protocol::digest::ScopeDigest;
use crate::protocol::frames::{
    Batch, BundleOffer, Bye, Cursor, Down, Entry, Outcome, Purged, Pushed, ScopeState, Up,
};
use crate::store::DeviceStore;
use crate::sync::{Action, DeviceError};

#[test]
fn hello_says_what_is_held() {
    let mut phone = Phone::welcomed(1);
    phone.batch(scope(), 0, 4, &[]);
    let Up::Hello(hello) = phone.session.hello(&phone.store).unwrap() else {
        panic!()
    };
    assert_eq!(hello.device, phone.who.device);
    assert_eq!(hello.scopes, [(scope(), phone.cursor(scope()))]);
}

#[test]
fn nothing_is_pushed_before_the_welcome() {
    let mut phone = Phone::new(1);
    phone.create(1, "王小明");
    assert_eq!(phone.push(), None);
    assert!(!phone.session.settled(&phone.store).unwrap());
    phone.welcome(vec![], vec![]);
    assert_eq!(phone.push(), Some((1, 1)));
    assert_eq!(phone.push(), None);
    assert!(!phone.session.settled(&phone.store).unwrap());
    let answer = Pushed {
        seq: 1,
        outcomes: vec![Outcome::Accepted],
        refused: None,
    };
    phone.receive(Down::Pushed(answer));
    assert!(phone.session.settled(&phone.store).unwrap());
}

#[test]
fn an_empty_scope_is_complete_at_once() {
    let mut phone = Phone::new(1);
    let empty = ScopeState {
        scope: scope(),
        end: Cursor::default(),
        bundle: None,
    };
    phone.welcome(vec![empty], vec![]);
    assert!(phone.session.settled(&phone.store).unwrap());
}

#[test]
fn a_long_queue_goes_in_parts_and_a_few_at_a_time() {
    let mut phone = Phone::welcomed(1);
    phone.create(1, "王小明");
    for n in 0..1_000 {
        phone.update(1, &[("cancel_note", &n.to_string())]).unwrap();
    }
    let sent: Vec<_> = std::iter::from_fn(|| phone.push()).collect();
    assert_eq!(sent, [(1, 200), (2, 200), (3, 200), (4, 200)]);
    let answer = Pushed {
        seq: 2,
        outcomes: vec![Outcome::Accepted; 200],
        refused: None,
    };
    phone.receive(Down::Pushed(answer));
    assert_eq!(phone.push(), Some((5, 200)));
    // In order: the first item of each follows the last of the one before.
    let envelopes = phone.store.envelopes().unwrap();
    let items: Vec<u64> = envelopes
        .iter()
        .flat_map(|sealed| sealed.items.clone())
        .collect();
    assert!(items.is_sorted());
}

#[test]
fn long_items_fill_an_envelope_sooner() {
    let mut phone = Phone::welcomed(1);
    let long = "长".repeat(300);
    phone.create(1, "王小明");
    // Each is a record of many long values.
    for n in 0..250_u32 {
        let note = format!("{long}{n}");
        phone.update(1, &[("cancel_note", &note)]).unwrap();
    }
    while phone.push().is_some() {}
    let mut total = 0;
    for sealed in phone.store.envelopes().unwrap() {
        assert!(sealed.signed.body.len() <= crate::envelope::MAX_BODY);
        total += sealed.items.len();
    }
    assert_eq!(total, 251);
}

#[test]
fn a_dropped_scope_is_purged_and_confirmed_and_unsent_work_still_goes_up() {
    let mut phone = Phone::welcomed(1);
    let mut other = Phone::new(2);
    other.create(1, "王小明");
    other.create(2, "李四");
    phone.batch(scope(), 0, 2, &[other.whole(1), other.whole(2)]);
    phone.batch(other_scope(), 0, 1, &[other.whole(2)]);
    phone.update(1, &[("phone", "13800000001")]).unwrap();
    let actions = phone.welcome(vec![], vec![scope()]);
    let purged = Purged {
        scope: scope(),
        records: vec![],
    };
    assert_eq!(sends(actions), [Up::Purged(purged)]);
    assert_eq!(phone.store.record(record_id(1)).unwrap(), None);
    assert_eq!(
        phone.store.scopes_of(record_id(2)).unwrap(),
        [other_scope()]
    );
    assert_eq!(phone.store.scopes().unwrap().len(), 1);
    assert_eq!(phone.push(), Some((1, 1)));
    let envelope = &phone.store.envelopes().unwrap()[0].signed;
    let opened = envelope
        .open(phone.who.device, &phone.who.key.public())
        .unwrap();
    assert!(matches!(&opened.items[0], Item::Change(change) if change.record == record_id(1)));
}

#[test]
fn a_bundle_of_what_is_left_shows_what_is_gone() {
    let mut other = Phone::new(2);
    let digest =
        |other: &Phone, n| ScopeDigest::of_record(record_id(n), other.record(n).registers.heads());
    other.create(1, "王小明");
    other.create(2, "李四");
    let mut phone = Phone::welcomed(1);
    // Torn off in the first bundle; when the phone comes again, the first record has left the scope.
    phone.batch(scope(), 0, 0, &[other.whole(1)]);
    let batch = Batch::pack(scope(), 0, 0, &[other.whole(2)]).unwrap();
    let file = bundle(&[batch]);
    let cursor = Cursor {
        seq: 9,
        digest: digest(&other, 2),
    };
    let offer = BundleOffer {
        digest: vec![0; 32],
        bytes: file.len() as u64,
        records: 1,
        cursor,
    };
    let state = ScopeState {
        scope: scope(),
        end: cursor,
        bundle: Some(offer.clone()),
    };
    phone.welcome(vec![state], vec![]);
    let actions = phone
        .session
        .bundle(&mut phone.store, scope(), &offer, &file, at(1))
        .unwrap();
    let asks = |frame: &Up| matches!(frame, Up::Heads(heads) if heads.records.len() == 2);
    assert!(sends(actions).iter().any(asks));
    assert!(!phone.session.settled(&phone.store).unwrap());
}

pub(super) fn bundle(frames: &[Batch]) -> Vec<u8> {
    let mut file = Vec::new();
    for batch in frames {
        let frame = Down::Batch(batch.clone()).encode();
        file.extend(u32::try_from(frame.len()).unwrap().to_be_bytes());
        file.extend(frame);
    }
    file
}

#[test]
fn a_bundle_comes_before_the_log_and_starts_again_after_a_break() {
    let mut other = Phone::new(2);
    for n in 1..=6 {
        other.create(n, "王小明");
    }
    let part = |records: std::ops::RangeInclusive<u8>| {
        let entries: Vec<Entry> = records.map(|n| other.whole(n)).collect();
        Batch::pack(scope(), 0, 50, &entries).unwrap()
    };
    let file = bundle(&[part(1..=2), part(3..=4), part(5..=5)]);
    let digest = |n| ScopeDigest::of_record(record_id(n), other.record(n).registers.heads());
    let offer = BundleOffer {
        digest: vec![0; 32],
        bytes: file.len() as u64,
        records: 5,
        cursor: Cursor {
            seq: 50,
            digest: (1..=5)
                .map(digest)
                .fold(ScopeDigest::default(), ScopeDigest::plus),
        },
    };
    let state = ScopeState {
        scope: scope(),
        end: Cursor {
            seq: 51,
            ..Cursor::default()
        },
        bundle: Some(offer.clone()),
    };
    let mut phone = Phone::new(1);
    let actions = phone.welcome(vec![state.clone()], vec![]);
    assert!(actions.contains(&Action::Fetch(scope(), offer.clone())));
    assert!(!phone.session.settled(&phone.store).unwrap());
    // The log goes on meanwhile.
    let late = Batch::pack(scope(), 50, 51, &[other.whole(6)]).unwrap();
    assert_eq!(phone.receive(Down::Batch(late.clone())), []);
    for cut in [3, 10, file.len() - 1] {
        let mut torn = Phone::new(1);
        torn.welcome(vec![state.clone()], vec![]);
        let result = torn
            .session
            .bundle(&mut torn.store, scope(), &offer, &file[..cut], at(1));
        assert!(matches!(result, Err(DeviceError::Protocol(_))), "{cut}");
        assert_eq!(torn.cursor(scope()).seq, 0, "fetched again from the start");
    }
    let actions = phone
        .session
        .bundle(&mut phone.store, scope(), &offer, &file, at(1))
        .unwrap();
    phone.check();
    assert_eq!(
        sends(actions),
        [Up::Stored(scope(), 50), Up::Stored(scope(), 51)]
    );
    assert_eq!(phone.store.count(None).unwrap(), 6);
    assert!(phone.session.settled(&phone.store).unwrap());
    let again = phone
        .session
        .bundle(&mut phone.store, scope(), &offer, &file, at(1));
    assert_eq!(again.unwrap(), [], "it is here");
}

#[test]
fn a_bundle_that_comes_after_its_scope_was_taken_away_is_not_taken() {
    let mut other = Phone::welcomed(2);
    other.create(1, "王小明");
    let file = bundle(&[Batch::pack(scope(), 0, 50, &[other.whole(1)]).unwrap()]);
    let end = Cursor {
        seq: 50,
        digest: ScopeDigest::of_record(record_id(1), other.record(1).registers.heads()),
    };
    let offer = |digest: u8| BundleOffer {
        digest: vec![digest; 32],
        bytes: file.len() as u64,
        records: 1,
        cursor: end,
    };
    let state = |digest| ScopeState {
        scope: scope(),
        end,
        bundle: Some(offer(digest)),
    };
    let mut phone = Phone::new(1);
    phone.welcome(vec![state(1)], vec![]);
    let late = Batch::pack(scope(), 50, 51, &[other.whole(1)]).unwrap();
    assert_eq!(phone.receive(Down::Batch(late)), []);
    phone.welcome(vec![], vec![scope()]);
    let takes = |phone: &mut Phone, digest| {
        let session = &mut phone.session;
        let taken = session.bundle(&mut phone.store, scope(), &offer(digest), &file, at(1));
        taken.unwrap().len()
    };
    assert_eq!(takes(&mut phone, 1), 0);
    assert_eq!(phone.store.count(None).unwrap(), 0);
    assert!(phone.store.scopes().unwrap().is_empty());
    assert!(phone.session.settled(&phone.store).unwrap());
    // Given again, it is the bundle offered now that counts.
    phone.welcome(vec![state(2)], vec![]);
    assert_eq!(takes(&mut phone, 1), 0);
    assert!(takes(&mut phone, 2) > 0);
    assert_eq!(phone.store.count(None).unwrap(), 1);
}

#[test]
fn a_wipe_leaves_nothing_and_goodbye_is_passed_on() {
    let mut phone = Phone::welcomed(1);
    phone.create(1, "王小明");
    let bye = Bye {
        code: "shutting_down".to_owned(),
        message: "请稍后再试。".to_owned(),
        retry_after_ms: Some(1_000),
    };
    assert_eq!(phone.receive(Down::Bye(bye.clone())), [Action::Bye(bye)]);
    assert_eq!(phone.receive(Down::Wipe), [Action::Wiped]);
    assert_eq!(phone.store.count(None).unwrap(), 0);
    assert_eq!(phone.store.unsent().unwrap().items, 0);
}

#[test]
fn nothing_new_takes_no_frame() {
    let mut phone = Phone::welcomed(1);
    let mut other = Phone::new(2);
    other.create(1, "王小明");
    phone.batch(scope(), 0, 1, &[other.whole(1)]);
    phone.reconnect();
    assert!(phone.session.settled(&phone.store).unwrap());
    assert_eq!(phone.push(), None);
    assert_eq!(
        phone.receive(Down::Checkpoint(scope(), phone.cursor(scope()))),
        []
    );
    assert_eq!(identity(1).device, phone.who.device);
}
