//! Who sees which devices, and what has not been sent from them.

use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::{CITY, OTHER_VILLAGE, STREET, VILLAGE};
use serde_json::json;

use crate::kit::{administrator, another, get, note_contact};

#[tokio::test]
async fn devices_are_seen_within_the_area_with_what_they_have_not_sent() {
    let server = TestServer::open_city().await.unwrap();
    let (_, near) = another(&server, VILLAGE).await;
    let (_, far) = another(&server, OTHER_VILLAGE).await;
    let street = administrator(&server, STREET).await;
    note_contact(&server, &near, chrono::Utc::now(), 7).await;
    let list = get(&server, &street.token, "/api/devices").await.body;
    let items = list["items"].as_array().unwrap();
    assert_eq!(
        (items.len(), &items[0]["id"], &items[0]["unsent"]),
        (1, &json!(near.id), &json!(7))
    );
    let path = format!("/api/devices/{}", far.id);
    let hidden = get(&server, &street.token, &path).await;
    assert_eq!(hidden.status, 404);
    let city = administrator(&server, CITY).await;
    let all = get(&server, &city.token, "/api/devices?limit=1").await.body;
    let next = format!(
        "/api/devices?limit=1&cursor={}",
        all["next"].as_str().unwrap()
    );
    let rest = get(&server, &city.token, &next).await.body;
    assert_eq!(
        (
            rest["items"].as_array().unwrap().len(),
            rest["next"].is_null()
        ),
        (1, true)
    );
    let (_, done) = another(&server, VILLAGE).await;
    assert_ne!(done.id, near.id);
    let path = "/api/devices?unsent=true";
    let list = get(&server, &street.token, path).await.body;
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["id"]), (1, &json!(near.id)));
}

#[tokio::test]
async fn whose_device_has_had_something_unsent_longest_comes_first_on_every_page() {
    let server = TestServer::open_city().await.unwrap();
    let street = administrator(&server, STREET).await;
    let now = chrono::Utc::now();
    let mut wanted = Vec::new();
    // The longest has the newest device: the order of ids is the other way round.
    for days in 1..=3 {
        let (_, device) = another(&server, VILLAGE).await;
        let at = now - chrono::TimeDelta::days(days);
        note_contact(&server, &device, at, 1).await;
        wanted.insert(0, json!(device.id));
    }
    let mut seen = Vec::new();
    let mut path = "/api/devices?unsent=true&limit=1".to_owned();
    loop {
        let page = get(&server, &street.token, &path).await.body;
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].clone()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/devices?unsent=true&limit=1&cursor={next}");
    }
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_device_moves_with_its_user() {
    let server = TestServer::open_city().await.unwrap();
    let city = administrator(&server, CITY).await;
    let street = administrator(&server, STREET).await;
    let (person, device) = another(&server, OTHER_VILLAGE).await;
    let path = format!("/api/devices/{}", device.id);
    let see = async || get(&server, &street.token, &path).await.status;
    assert_eq!(see().await, 404);
    let user = format!("/api/users/{}", person.id);
    let moved = server
        .send(
            "PATCH",
            &user,
            Some(&city.token),
            Some(json!({ "area": VILLAGE })),
        )
        .await
        .unwrap();
    assert_eq!(moved.status, 200);
    assert_eq!(see().await, 200);
}
