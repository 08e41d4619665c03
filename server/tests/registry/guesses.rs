//! What a mask hides is not to be found by trying: the hash of a change is over all that it says, and whoever knows the
//! rest of a change needs few tries for a few digits. So no reader is told a hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorstep_core::crdt::Registers;
use doorstep_core::crypto::actor;
use doorstep_core::ids::{ChangeHash, RecordId};
use doorstep_server::database::system_tx;
use doorstep_server::register;
use doorstep_server::testing::city::VILLAGE;
use doorstep_server::testing::phone::fields;
use serde_json::{Value, json};

use crate::kit::{Kit, record};
use crate::masks::{Filled, read, says};

/// What the register holds of a record.
async fn held(kit: &Kit, id: RecordId) -> Registers {
    let mut tx = system_tx(&kit.server.state.pool).await.unwrap();
    let mut records = register::open(&mut tx, &kit.server.state.keys, &[id])
        .await
        .unwrap();
    records.remove(&id).unwrap().registers
}

/// The hashes of all changes, the latest last.
async fn hashes(kit: &Kit) -> Vec<ChangeHash> {
    let mut tx = system_tx(&kit.server.state.pool).await.unwrap();
    let hashes: Vec<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM changes ORDER BY ord")
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    let hash = |hash: Vec<u8>| ChangeHash(hash.try_into().unwrap());
    hashes.into_iter().map(hash).collect()
}

/// Whether a hash stands in an answer: in hexadecimal digits, in Base64, or as the numbers of its bytes.
fn tells(answer: &Value, hash: ChangeHash) -> bool {
    let numbers = serde_json::to_string(&hash.0).unwrap();
    // Nine bytes are enough to know a hash by.
    let start = STANDARD.encode(&hash.0[..9]);
    let url = start.replace('+', "-").replace('/', "_");
    answer.to_string().contains(&numbers)
        || [hex::encode(&hash.0[..9]), start, url]
            .iter()
            .any(|text| says(answer, text))
}

/// Tries what may stand behind a mask, by making the very change that the server made of it.
fn guess(
    kit: &Kit,
    id: RecordId,
    before: &Registers,
    made_at: i64,
    field: &str,
    may_be: impl Iterator<Item = String>,
    hash: ChangeHash,
) -> Option<String> {
    let key = kit.server.state.keys.provider().server_key().public();
    let actor = actor::derive(&key, id, 0);
    let mut may_be = may_be;
    may_be.find(|value| before.change(actor, made_at, &fields(&[(field, value)])).2 == hash)
}

#[tokio::test]
async fn a_masked_value_is_not_found_by_hashing_what_it_may_be() {
    let kit = Kit::new().await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let id = record(&person);
    let mut phone = kit.server.phone(VILLAGE).await.unwrap();
    phone.pull(&kit.server, id).await.unwrap();
    let now = kit.server.state.clock.timestamp().0;

    let before = held(&kit, id).await;
    kit.edit(&kit.supervisor, &person, json!({ "phone": "13827190436" }))
        .await;
    let of_phone = *hashes(&kit).await.last().unwrap();
    let numbers = (0..10_000).map(|middle| format!("138{middle:04}0436"));
    let found = guess(&kit, id, &before, now, "phone", numbers, of_phone);
    assert_eq!(
        found.as_deref(),
        Some("13827190436"),
        "the hash gives it away"
    );

    // A day of birth, of which another device says another: both sides stand in the queue.
    let before = held(&kit, id).await;
    kit.edit(
        &kit.supervisor,
        &person,
        json!({ "birth_date": "1970-07-24" }),
    )
    .await;
    let of_birth = *hashes(&kit).await.last().unwrap();
    let days =
        (1..=12).flat_map(|month| (1..=31).map(move |day| format!("1970-{month:02}-{day:02}")));
    let found = guess(&kit, id, &before, now, "birth_date", days, of_birth);
    assert_eq!(
        found.as_deref(),
        Some("1970-07-24"),
        "the hash gives it away"
    );
    let other = phone
        .edit(id, &fields(&[("birth_date", "1970-07-25")]))
        .unwrap();
    phone.send(&kit.server, vec![other]).await.unwrap();
    let item = kit.server.conflict_of(id).await.unwrap();

    let mut names = Vec::new();
    for path in [
        format!("/api/records/{person}/history"),
        format!("/api/conflicts/{item}"),
    ] {
        let reply = kit
            .send(&kit.administrator, "GET", &path, Value::Null)
            .await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let headers: Vec<String> = reply
            .headers
            .values()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        for hash in hashes(&kit).await {
            assert!(!tells(&reply.body, hash), "{path}: {:#}", reply.body);
            assert!(!tells(&json!(headers), hash), "{path}: {headers:?}");
        }
        names.push(reply.body);
    }
    // Whoever sees the values in clear for a purpose is told what devices call their changes.
    let path = format!("/api/records/{person}/history?purpose=verification");
    let clear = kit.get(&kit.supervisor, &path).await;
    assert!(tells(&clear, of_phone) && tells(&clear, of_birth));

    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let changes = names[0]["changes"].as_array().unwrap();
    let mut of_history: Vec<String> = changes.iter().map(|change| text(&change["id"])).collect();
    let sides = names[1]["values"].as_array().unwrap();
    assert_eq!(sides.len(), 2);
    for side in sides {
        assert!(
            of_history.contains(&text(&side["change"])),
            "the same name in both"
        );
    }
    assert_eq!(of_history.len(), 4);
    of_history.sort();
    of_history.dedup();
    assert_eq!(of_history.len(), 4, "each its own");
}

#[tokio::test]
async fn no_reader_is_told_the_hash_of_a_change() {
    let filled = Filled::new().await;
    let hashes = hashes(&filled.kit).await;
    assert!(hashes.len() > 12);
    let encoded = json!([
        hex::encode(hashes[0].0),
        STANDARD.encode(hashes[1].0),
        hashes[2].0
    ]);
    assert!(hashes[..3].iter().all(|hash| tells(&encoded, *hash)));
    for who in [&filled.kit.administrator, &filled.kit.supervisor] {
        for (path, answer) in read(&filled, who).await {
            for hash in &hashes {
                assert!(!tells(&answer, *hash), "{path}: {answer:#}");
            }
        }
    }
}
