//! Two nodes on one database: what is said at one is heard at the other, and nothing depends on the bus.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod device;
mod nodes;

use std::time::{Duration, Instant};

use device::SimDevice;
use doorstep_core::rights::Role;
use doorstep_server::testing::city::VILLAGE;
use nodes::city;
use serde_json::json;

#[tokio::test]
async fn without_the_bus_changes_still_arrive_and_with_it_again_at_once() {
    if nodes::left_out() {
        return;
    }
    let mut city = city(2, |_| {}).await;
    let mut one = SimDevice::new(&city, VILLAGE).await;
    let mut two = SimDevice::new(&city, VILLAGE).await;
    two.sync().await;
    let mut live = two.connect().await;
    let id = one.create_resident("叶海思", "310115197004275621");
    one.sync().await;
    two.listen_until(&mut live, |two| two.field(id, "name").is_some())
        .await;
    city.nats.as_mut().unwrap().kill();
    one.set(id, "phone", "13800138000");
    one.sync().await;
    two.listen_until(&mut live, |two| two.field(id, "phone").is_some())
        .await;
    city.nats.as_mut().unwrap().resume().unwrap();
    // Both nodes come back by themselves; from then on it takes no look every few seconds.
    let mut quickest = Duration::MAX;
    for round in 0..20 {
        let begun = Instant::now();
        let name = format!("某厂{round}");
        one.set(id, "workplace", &name);
        one.sync().await;
        two.listen_until(&mut live, |two| {
            two.field(id, "workplace") == Some(name.as_str().into())
        })
        .await;
        quickest = quickest.min(begun.elapsed());
    }
    assert!(quickest < Duration::from_millis(900), "{quickest:?}");
    assert_eq!(one.digest(), two.digest());
}

#[tokio::test]
async fn who_has_a_record_open_shows_at_the_other_node_until_that_node_is_gone() {
    if nodes::left_out() {
        return;
    }
    let mut city = city(2, |_| {}).await;
    let mut one = SimDevice::new(&city, VILLAGE).await;
    let mut two = SimDevice::new(&city, VILLAGE).await;
    let id = one.create_resident("叶海思", "310115197004275621");
    one.sync().await;
    two.sync().await;
    let mut here = one.connect().await;
    let there = &mut two.connect().await;
    one.sees_welcome(&mut here).await;
    two.sees_welcome(there).await;
    two.look_at(there, Some(id)).await;
    one.sees_present(&mut here, 1).await;
    two.look_at(there, None).await;
    one.sees_present(&mut here, 0).await;
    two.look_at(there, Some(id)).await;
    one.sees_present(&mut here, 1).await;
    city.server.stop_node();
    one.sees_present(&mut here, 0).await;
}

#[tokio::test]
async fn a_device_that_must_wipe_hears_it_at_the_other_node() {
    if nodes::left_out() {
        return;
    }
    let city = city(2, |_| {}).await;
    let _first = SimDevice::new(&city, VILLAGE).await;
    let mut two = SimDevice::new(&city, VILLAGE).await;
    two.sync().await;
    let mut live = two.connect().await;
    two.sees_welcome(&mut live).await;
    let administrator = city.administrator(Role::SecurityAdministrator).unwrap();
    let path = format!("/api/devices/{}/wipe", two.who.device);
    let told = city
        .send(
            "POST",
            &path,
            Some(&administrator.token),
            Some(json!({ "reason": "手机遗失" })),
        )
        .await
        .unwrap();
    assert_eq!(told.status, 200, "{}", told.body);
    two.is_told_to_wipe(&mut live).await;
}
