//! Words that fit very much: where a search begins, and what it says when it can't.

use doorstep_server::testing::city::VILLAGE;
use serde_json::json;
use sqlx::ConnectOptions;

use crate::kit::{Kit, quoted};

/// Houses that carry a token in the index and nothing else: more than a search can look at.
const FILL: &str = "WITH made AS ( \
        INSERT INTO records (id, record_type, area_code, areas, cancelled, heads, state, version, wrapped_key, \
            key_version, facets, created_at, updated_at) \
        SELECT gen_random_uuid(), 'house', $1::text, ARRAY[$1::text], false, '', '', 1, '', 1, '{}', now(), now() \
        FROM generate_series(1, $2) \
        RETURNING id \
    ) INSERT INTO record_tokens (record_id, areas, tokens) SELECT id, area_line(ARRAY[$1::text]), $3::bigint[] FROM made";

async fn fill(kit: &Kit, houses: i32, tokens: &[&str]) {
    let state = &kit.server.state;
    let blind: Vec<i64> = tokens.iter().map(|token| state.keys.blind(token)).collect();
    let mut owner = kit.server.database.owner.connect().await.unwrap();
    sqlx::query(FILL)
        .bind(VILLAGE)
        .bind(houses)
        .bind(blind)
        .execute(&mut owner)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_road_that_fits_every_house_is_found_by_the_words_beside_it() {
    let kit = Kit::new().await;
    let person = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let neighbour = kit.resident("张三丰", "1980-01-01", json!({})).await;
    let house = kit.house("长乐路110弄1号101室", json!({})).await;
    let next = kit.house("长乐路111弄1号101室", json!({})).await;
    kit.tie(&person, &house, "living", true).await;
    kit.tie(&neighbour, &house, "living", true).await;
    kit.tie(&person, &next, "owning", false).await;
    // Each of the road's words and the room's number fit more than can be looked at; no filler carries both.
    fill(&kit, 20_100, &["a:长乐", "a:乐路"]).await;
    fill(&kit, 20_100, &["m:101"]).await;
    for (path, expected) in [
        ("houses?text=长乐路110弄", vec![&house]),
        ("residents?text=长乐路110弄", vec![&person, &neighbour]),
        ("residents?text=长乐路111弄", vec![&person]),
        ("residents?text=叶海思 长乐路", vec![&person]),
        ("houses?text=叶海思 张三丰", vec![&house]),
        ("houses?text=叶海思 长乐路111弄", vec![&next]),
        ("residents?text=李四 长乐路", vec![]),
        // Even the rarest of these is everywhere: found are the houses that carry all, and who lives there.
        ("houses?text=长乐路101室", vec![&house, &next]),
        ("residents?text=长乐路101室", vec![&person, &neighbour]),
    ] {
        let (list, text) = path.split_once("text=").unwrap();
        let mut found = kit
            .found(
                &kit.supervisor,
                &format!("/api/{list}text={}", quoted(text)),
            )
            .await;
        let mut expected: Vec<String> = expected.into_iter().cloned().collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{path}");
    }
    for text in ["长乐路", "长乐"] {
        let path = format!("/api/houses?text={}", quoted(text));
        let reply = kit
            .send(&kit.supervisor, "GET", &path, serde_json::Value::Null)
            .await;
        assert_eq!(
            (reply.status, reply.code()),
            (422, "search_too_broad"),
            "{text}"
        );
    }
}
