//! Frames that come twice or change places within one connection: each ends it or changes nothing, and nothing is taken
//! for what it is not.

use super::sessions::bundle;
use super::{Phone, at, record_id, scope, sends};
use crate::protocol::digest::ScopeDigest;
use crate::protocol::frames::{
    Batch, BundleOffer, Cursor, Down, Entry, Outcome, Pushed, Refusal, ScopeState, Up, Welcome,
};
use crate::store::DeviceStore;
use crate::sync::{Action, DeviceError};

fn accepted(seq: u64) -> Down {
    Down::Pushed(Pushed {
        seq,
        outcomes: vec![Outcome::Accepted],
        refused: None,
    })
}

fn ends(phone: &mut Phone, frame: Down) -> bool {
    let taken = phone.session.receive(&mut phone.store, frame, at(1));
    matches!(taken, Err(DeviceError::Protocol(_)))
}

fn fetches(actions: &[Action]) -> usize {
    let fetches = |action: &&Action| matches!(action, Action::Fetch(..));
    actions.iter().filter(fetches).count()
}

/// Entries that were taken before it made the log look longer than the server says that it is: as after a restore.
#[test]
fn nothing_is_taken_before_the_welcome() {
    let mut other = Phone::new(2);
    other.create(1, "王小明");
    let mut phone = Phone::new(1);
    let batch = Batch::pack(scope(), 0, 1, &[other.whole(1)]).unwrap();
    assert!(ends(&mut phone, Down::Batch(batch)));
    let checkpoint = Down::Checkpoint(scope(), Cursor::default());
    assert!(ends(&mut phone, checkpoint));
    assert!(ends(&mut phone, accepted(1)));
    assert_eq!(phone.store.scopes().unwrap(), []);
}

/// The copy fetched the bundle again and, when it was late, took the cursor and the envelopes' numbers back.
#[test]
fn a_welcome_that_comes_twice_begins_nothing_again() {
    let mut other = Phone::new(2);
    other.create(1, "王小明");
    let heads = other.record(1).registers.heads().to_vec();
    let file = bundle(&[Batch::pack(scope(), 0, 0, &[other.whole(1)]).unwrap()]);
    let cursor = Cursor {
        seq: 9,
        digest: ScopeDigest::of_record(record_id(1), &heads),
    };
    let offer = BundleOffer {
        digest: vec![0; 32],
        bytes: file.len() as u64,
        records: 1,
        cursor,
    };
    let welcome = Down::Welcome(Welcome {
        time: at(0),
        next_envelope: 1,
        scopes: vec![ScopeState {
            scope: scope(),
            end: cursor,
            bundle: Some(offer.clone()),
        }],
        dropped: vec![],
    });
    let mut phone = Phone::new(1);
    assert_eq!(fetches(&phone.receive(welcome.clone())), 1);
    assert_eq!(fetches(&phone.receive(welcome.clone())), 0, "on its way");
    let taken = phone
        .session
        .bundle(&mut phone.store, scope(), &offer, &file, at(1));
    assert!(taken.is_ok());
    assert!(phone.session.settled(&phone.store).unwrap());

    phone.batch(scope(), 9, 10, &[]);
    phone.update(1, &[("occupation", "教师")]).unwrap();
    assert_eq!(phone.push(), Some((1, 1)));
    phone.receive(accepted(1));
    assert_eq!(fetches(&phone.receive(welcome)), 0, "it is here");
    assert_eq!(phone.cursor(scope()).seq, 10);
    phone.update(1, &[("occupation", "医生")]).unwrap();
    assert_eq!(phone.push(), Some((2, 1)));
}

#[test]
fn an_answer_that_comes_twice_is_told_once() {
    let mut phone = Phone::welcomed(1);
    phone.create(1, "王小明");
    assert_eq!(phone.push(), Some((1, 1)));
    let told = Action::Answered {
        accepted: 1,
        refused: 0,
    };
    assert!(phone.receive(accepted(1)).contains(&told));
    assert_eq!(phone.receive(accepted(1)), []);
}

/// Numbered anew, an envelope that is still on the wire would come to be judged under a number that has another by then:
/// its edits were there twice, or the answer to it was taken for the answer to the other.
#[test]
fn envelopes_that_changed_places_come_again_as_they_were() {
    for answered_before in [false, true] {
        let mut phone = Phone::welcomed(1);
        phone.create(1, "王小明");
        assert_eq!(phone.push(), Some((1, 1)));
        phone.update(1, &[("occupation", "教师")]).unwrap();
        assert_eq!(phone.push(), Some((2, 1)));
        if answered_before {
            phone.receive(accepted(1));
        }
        let under_way = phone.store.envelopes().unwrap();
        let gap = Down::Pushed(Pushed {
            seq: 2,
            outcomes: vec![],
            refused: Some(Refusal::new(Refusal::GAP, "请重新连接。")),
        });
        assert!(ends(&mut phone, gap));
        assert_eq!(phone.store.envelopes().unwrap(), under_way);
        phone.reconnect();
        if !answered_before {
            assert_eq!(phone.push(), Some((1, 1)));
        }
        assert_eq!(phone.push(), Some((2, 1)));
        assert_eq!(phone.store.envelopes().unwrap(), under_way);
    }
}

/// It was made before these entries were there, and lacks what they brought: the device took the server for restored from
/// a backup, and would have given back everything that it ever made.
#[test]
fn a_repair_that_entries_overtook_is_no_sign_of_a_restored_server() {
    let mut other = Phone::welcomed(2);
    other.create(1, "王小明");
    let mut third = Phone::welcomed(3);
    third.batch(scope(), 0, 1, &other.puts(1));
    third.update(1, &[("phone", "13800000003")]).unwrap();
    other.update(1, &[("occupation", "教师")]).unwrap();
    other.update(1, &[("name", "王晓明")]).unwrap();
    let puts = other.puts(1);
    let mut phone = Phone::welcomed(1);
    // Something is missing: it asks.
    let asks = sends(phone.batch(scope(), 0, 2, &[puts[0].clone(), puts[2].clone()]));
    assert!(matches!(asks.last(), Some(Up::Heads(heads)) if heads.seq == 2));
    let repair = other.whole(1);

    phone.batch(scope(), 2, 3, &third.puts(1)[1..]);
    let asks = sends(phone.batch(scope(), 2, 2, std::slice::from_ref(&repair)));
    assert!(matches!(&asks[..], [Up::Heads(heads)] if heads.seq == 3));
    assert_eq!(phone.value(1, "phone").as_deref(), Some("13800000003"));

    other.batch(scope(), 0, 2, &third.puts(1));
    phone.batch(scope(), 3, 3, &[other.whole(1)]);
    let right = phone.record(1);
    assert_eq!(right.registers, other.record(1).registers);
    assert_eq!(right.confirmed, right.registers.heads());
    // Agreed, and then the first comes once more: nobody waits for it, and it takes nothing back.
    let agreed = Down::Checkpoint(scope(), phone.cursor(scope()));
    phone.receive(agreed);
    let says = sends(phone.batch(scope(), 2, 2, &[repair]));
    assert_eq!(says, [Up::Stored(scope(), 3)]);
    assert_eq!(phone.record(1), right);
    // The copy of one by which it left, before it came back: whether that holds is asked.
    let says = sends(phone.batch(scope(), 2, 2, &[Entry::Leave(record_id(1))]));
    assert!(matches!(says.last(), Some(Up::Heads(heads)) if heads.records.is_empty()));
}
