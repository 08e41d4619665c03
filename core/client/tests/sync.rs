//! A device against a server that fails at every frame: nothing acknowledged is lost, nothing comes twice, and both
//! sides end up equal.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod fake;

use std::sync::Arc;
use std::time::Duration;

use doorstep_client::{Event, Kind};
use doorstep_core::ids::{RecordId, ScopeId};
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::store::{DeviceStore, ListQuery};
use doorstep_core::value::Fields;
use fake::{Fake, TestDevice, area, resident};
use tokio::sync::oneshot;

const EVERYTHING: ListQuery = ListQuery {
    record_type: None,
    text: String::new(),
    linked_to: None,
    cancelled: true,
    offset: 0,
    limit: 1000,
};

fn names(device: &TestDevice) -> Vec<(RecordId, Fields)> {
    let mut all: Vec<_> = device
        .list(&EVERYTHING)
        .unwrap()
        .into_iter()
        .map(|listed| (listed.id, listed.fields))
        .collect();
    all.sort();
    all
}

/// Everything sent, and the scope as the server has it.
fn assert_level(fake: &Fake, device: &TestDevice) {
    assert_eq!(device.unsent().unwrap().items, 0);
    assert_eq!(scope_digest(device), fake.world().digest());
    assert_eq!(fake.world().doubled, []);
}

fn scope_digest(device: &TestDevice) -> ScopeDigest {
    let scopes = device.read(DeviceStore::scopes).unwrap();
    let area = scopes
        .into_iter()
        .find(|(scope, _)| *scope == ScopeId::Area(area()));
    area.unwrap().1.digest
}

fn edits(device: &TestDevice, count: usize) {
    for n in 0..count {
        let id = device
            .create("resident", area(), resident(&format!("陈小{n}")))
            .unwrap();
        let edit = Fields::from([("remark".to_owned(), format!("第{n}户").into())]);
        assert!(device.update(id, &edit).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_device_does_offline_another_sees() {
    let fake = Fake::start().await;
    let (one, two) = (fake.device(1), fake.device(2));
    edits(&one, 5);
    let report = one.sync_once().await.unwrap();
    assert_eq!((report.accepted, report.refused), (10, 0));
    assert_eq!(
        two.sync_once().await.unwrap().changed,
        7,
        "ten changes of five records, in batches of three"
    );
    assert_eq!(names(&one), names(&two));
    assert_eq!(names(&two).len(), 5);
    assert_level(&fake, &one);
    assert_level(&fake, &two);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_dropped_at_any_frame_loses_and_doubles_nothing() {
    let mut cut = 0;
    loop {
        let fake = Fake::start().await;
        let (one, two) = (fake.device(1), fake.device(2));
        edits(&two, 3);
        two.sync_once().await.unwrap();
        edits(&one, 4);
        fake.faults().cut_after = Some(cut);
        let first = one.sync_once().await;
        if fake.faults().cut_after.take().is_some() {
            assert!(first.is_ok(), "nothing was cut");
            assert!(cut > 10, "there were frames to cut");
            return;
        }
        // The very last frames may be lost after everything was settled.
        if let Err(error) = first {
            assert_eq!(
                (error.kind, error.code.as_ref()),
                (Kind::Offline, "offline"),
                "cut at {cut}"
            );
            one.sync_once().await.unwrap();
        }
        two.sync_once().await.unwrap();
        one.sync_once().await.unwrap();
        assert_eq!(fake.world().changes(), 14, "cut at {cut}");
        assert_eq!(names(&one), names(&two), "cut at {cut}");
        assert_level(&fake, &one);
        assert_level(&fake, &two);
        cut += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_delivered_twice_change_nothing() {
    let fake = Fake::start().await;
    fake.faults().twice = true;
    let (one, two) = (fake.device(1), fake.device(2));
    edits(&one, 6);
    one.sync_once().await.unwrap();
    two.sync_once().await.unwrap();
    assert_eq!(fake.world().changes(), 12);
    assert_eq!(names(&one), names(&two));
    assert_level(&fake, &two);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnect_with_nothing_new_is_one_frame_each_way() {
    let fake = Fake::start().await;
    let one = fake.device(1);
    edits(&one, 3);
    one.sync_once().await.unwrap();
    one.sync_once().await.unwrap();
    let before = one.counters();
    one.sync_once().await.unwrap();
    let after = one.counters();
    assert_eq!(
        (
            after.frames_up - before.frames_up,
            after.frames_down - before.frames_down
        ),
        (1, 1)
    );
    assert!(after.frame_bytes_up - before.frame_bytes_up < 300);
    assert!(after.frame_bytes_down - before.frame_bytes_down < 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_goes_on_where_it_broke_off() {
    let fake = Fake::start().await;
    let (one, two) = (fake.device(1), fake.device(2));
    edits(&one, 60);
    one.sync_once().await.unwrap();
    fake.world().make_bundle(10);
    edits(&one, 2);
    one.sync_once().await.unwrap();
    fake.faults().bundle_bytes = Some(2_000);
    let mut tries = 0;
    while two.sync_once().await.is_err() {
        tries += 1;
        let asked = fake.faults().bundle_requests.clone();
        assert!(tries < 40, "it gets no further: {asked:?}");
    }
    let asked = fake.faults().bundle_requests.clone();
    assert!(tries >= 2 && asked.len() == tries + 1, "{asked:?}");
    assert!(
        asked.windows(2).all(|pair| pair[1] >= pair[0] + 1_000),
        "{asked:?}"
    );
    assert_eq!(names(&two).len(), 62);
    assert_eq!(names(&one), names(&two));
    assert_level(&fake, &two);
    let left = bundles(&two);
    assert!(left.is_empty(), "{left:?} stays beside the store");
}

/// The names of half-fetched bundles.
fn bundles(device: &TestDevice) -> Vec<String> {
    let files = std::fs::read_dir(device.folder.path().join("bundles")).unwrap();
    files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// A server with a bundle, and a second device that holds a part of it.
async fn half_fetched() -> (Arc<Fake>, TestDevice, TestDevice) {
    let fake = Fake::start().await;
    let (one, two) = (fake.device(1), fake.device(2));
    edits(&one, 60);
    one.sync_once().await.unwrap();
    fake.world().make_bundle(10);
    fake.faults().bundle_bytes = Some(2_000);
    two.sync_once().await.unwrap_err();
    fake.faults().bundle_bytes = None;
    assert_eq!(bundles(&two).len(), 1);
    (fake, one, two)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_that_is_offered_no_longer_goes() {
    let (fake, one, two) = half_fetched().await;
    let before = bundles(&two);
    edits(&one, 1);
    one.sync_once().await.unwrap();
    fake.world().make_bundle(10);
    fake.faults().bundle_bytes = Some(2_000);
    two.sync_once().await.unwrap_err();
    let now = bundles(&two);
    assert!(now.len() == 1 && now != before, "{before:?} {now:?}");
    fake.faults().bundle_bytes = None;
    two.sync_once().await.unwrap();
    assert_eq!(names(&one), names(&two));
    assert_eq!(bundles(&two), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_of_a_scope_that_is_withdrawn_goes() {
    let (fake, _one, two) = half_fetched().await;
    fake.world().withdrawn = true;
    two.sync_once().await.unwrap();
    assert_eq!(bundles(&two), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_leaves_no_bundle_behind() {
    let fake = Fake::start().await;
    let (one, two) = (fake.device(1), fake.device(2));
    edits(&one, 1);
    one.sync_once().await.unwrap();
    let id = names(&one)[0].0;
    let (stop, stopped) = oneshot::channel::<()>();
    let mut heard = two.events();
    let device = two.device.clone();
    let running =
        tokio::spawn(async move { device.run(async { stopped.await.unwrap_or(()) }).await });
    let settled = async { while !matches!(heard.recv().await, Ok(Event::Settled)) {} };
    tokio::time::timeout(Duration::from_secs(10), settled)
        .await
        .expect("it settles");
    std::fs::write(two.folder.path().join("bundles/left"), b"sealed").unwrap();
    fake.world().take_away(id, true);
    fake.news.notify_waiters();
    let gone = async {
        while two.record(id).is_ok() || !bundles(&two).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .expect("all of it goes");
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_bundle_is_not_used_and_fetched_again() {
    let fake = Fake::start().await;
    let (one, two) = (fake.device(1), fake.device(2));
    edits(&one, 20);
    one.sync_once().await.unwrap();
    fake.world().make_bundle(10);
    fake.faults().spoil_bundles = 1;
    let error = two.sync_once().await.unwrap_err();
    assert_eq!(error.code, "bundle_damaged");
    assert_eq!(names(&two), []);
    two.sync_once().await.unwrap();
    assert_eq!(names(&one), names(&two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_devices_see_each_other_and_come_back_after_a_cut() {
    let fake = Fake::start().await;
    let (one, two) = (fake.device(1), fake.device(2));
    let mut heard = two.events();
    let (stop_one, stopped_one) = oneshot::channel::<()>();
    let (stop_two, stopped_two) = oneshot::channel::<()>();
    let run = |device: doorstep_client::Device<_>, stopped: oneshot::Receiver<()>| {
        tokio::spawn(async move { device.run(async { stopped.await.unwrap_or(()) }).await })
    };
    let running = (
        run(one.device.clone(), stopped_one),
        run(two.device.clone(), stopped_two),
    );
    for round in 0..3 {
        if round == 1 {
            fake.faults().cut_after = Some(1);
        }
        let id = one.create("resident", area(), resident("林朝霞")).unwrap();
        let seen = async {
            while two.record(id).is_err() {
                heard.recv().await.ok();
            }
        };
        tokio::time::timeout(Duration::from_secs(10), seen)
            .await
            .expect("it is seen");
    }
    fake.world().put_state("message/1", "{\"text\":\"请核实\"}");
    fake.news.notify_waiters();
    let told = async {
        loop {
            match heard.recv().await {
                Ok(Event::States(keys)) if keys == ["message/1"] => break,
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told)
        .await
        .expect("it is told");
    assert_eq!(two.states("message/").unwrap().len(), 1);
    one.set_open_record(Some(names(&one)[0].0));
    // What one sent last is confirmed to it a moment after the other has it.
    let level = async {
        while scope_digest(&one) != fake.world().digest() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), level)
        .await
        .expect("it is level");
    stop_one.send(()).unwrap();
    stop_two.send(()).unwrap();
    running.0.await.unwrap().unwrap();
    running.1.await.unwrap().unwrap();
    assert_level(&fake, &one);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_is_given_up() {
    let fake = Fake::start().await;
    let one = fake.device(1);
    edits(&one, 1);
    fake.faults().mute = true;
    let error = tokio::time::timeout(Duration::from_secs(5), one.sync_once())
        .await
        .expect("it gives up");
    assert_eq!(error.unwrap_err().kind, Kind::Offline);
    assert_eq!(one.outbox().unwrap().len(), 2, "the edits stay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_withdrawn_is_purged_and_what_was_unsent_still_goes_up() {
    let fake = Fake::start().await;
    let one = fake.device(1);
    edits(&one, 3);
    one.sync_once().await.unwrap();
    edits(&one, 1);
    fake.world().withdrawn = true;
    let report = one.sync_once().await.unwrap();
    assert_eq!(report.accepted, 2);
    assert_eq!(names(&one), []);
    let purged = fake.world().purged.clone();
    assert_eq!(purged.len(), 1);
    assert_eq!(purged[0].scope, ScopeId::Area(area()));
    let told = async {
        loop {
            let unsent: Vec<u64> = fake
                .world()
                .unsent
                .iter()
                .map(|unsent| unsent.items)
                .collect();
            if unsent == [6, 0, 2, 0] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), told)
        .await
        .expect("the server is told what was unsent");
}
