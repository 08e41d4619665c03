//! What an answer must hold, as functions of the answer and the address that was asked. Knows no question's time.

use serde_json::Value;

/// Somebody is found.
pub(super) fn page(answer: &Value, _: &str) -> bool {
    count(&answer["items"]) > 0
}

/// The file of who was asked for, with a name and where they live.
pub(super) fn file(answer: &Value, path: &str) -> bool {
    let resident = &answer["resident"];
    let id = resident["id"].as_str().unwrap_or_default();
    !id.is_empty()
        && path.ends_with(id)
        && !resident["fields"]["name"].is_null()
        && count(&answer["residences"]) > 0
}

/// A history begins where the name was first written.
pub(super) fn history(answer: &Value, _: &str) -> bool {
    let first = answer["changes"][0]["fields"].as_array();
    first.into_iter().flatten().any(|moved| {
        moved["field"] == "name" && moved["before"].is_null() && !moved["put"].is_null()
    })
}

/// Open items, and of a page of 50 as many as the counts say that there are.
pub(super) fn queue(answer: &Value, _: &str) -> bool {
    let counts = answer["counts"].as_array().into_iter().flatten();
    let open: u64 = counts.filter_map(|kind| kind["count"].as_u64()).sum();
    let mut items = answer["items"].as_array().into_iter().flatten();
    count(&answer["items"]) as u64 == open.min(50) && items.all(|item| item["status"] == "open")
}

/// Rooms, as many as it says that there are houses, with somebody in each.
pub(super) fn view(answer: &Value, _: &str) -> bool {
    let floors = answer["floors"].as_array().into_iter().flatten();
    let rooms: Vec<&Value> = floors
        .filter_map(|floor| floor["rooms"].as_array())
        .flatten()
        .collect();
    !rooms.is_empty()
        && answer["houses"] == rooms.len()
        && rooms
            .iter()
            .all(|room| room["occupied"].as_bool() == Some(true))
}

/// How many houses the buildings of a list have together.
pub(super) fn houses(answer: &Value) -> u64 {
    let estates = answer.as_array().into_iter().flatten();
    estates
        .filter_map(|estate| estate["buildings"].as_array())
        .flatten()
        .filter_map(|building| building["houses"].as_u64())
        .sum()
}

fn count(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}
