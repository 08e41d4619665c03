//! What else tells of an erased person: files that were merged, what was refused, items that were decided, what comes
//! later.

use doorstep_core::envelope::EventItem;
use doorstep_core::ids::{EventId, RecordId, ScopeId};
use doorstep_core::protocol::frames::{Entry, Outcome};
use doorstep_core::rights::Role;
use doorstep_server::database::system_tx;
use doorstep_server::domains::registry;
use doorstep_server::register::{Prepared, read};
use doorstep_server::testing::Phone;
use doorstep_server::testing::city::{OTHER_DISTRICT, OTHER_VILLAGE, VILLAGE};
use doorstep_server::testing::phone::fields;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::{Kit, record};

const PRIVATE: &str = "住在女儿家";

async fn erase(kit: &Kit, id: RecordId) -> Value {
    let path = format!("/api/records/{id}/erase");
    let body = json!({ "ground": "request", "confirm": id.0 });
    let reply = kit.send(&kit.administrator, "POST", &path, body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

async fn count(kit: &Kit, sql: &'static str, ids: &[RecordId]) -> i64 {
    let mut tx = system_tx(&kit.server.state.pool).await.unwrap();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let query = sqlx::query_scalar(sql).bind(ids);
    query.fetch_one(&mut *tx).await.unwrap()
}

/// Two files of one person that were merged, each with a residence; and the item.
struct Merged {
    kit: Kit,
    survivor: RecordId,
    alias: RecordId,
    ties: [RecordId; 2],
    item: Uuid,
    phone: Phone,
}

async fn merged() -> Merged {
    let kit = Kit::new().await;
    let house = kit.house("陕西中路12弄28号1702室", json!({})).await;
    let other = kit.house("陕西中路12弄28号1703室", json!({})).await;
    let survivor = kit.resident("叶海思", "1970-04-27", json!({})).await;
    let more = json!({ "phone": "13812345678", "remark": PRIVATE });
    let alias = kit.resident("叶海思", "1970-04-27", more).await;
    let first = kit.tie(&survivor, &house, "living", true).await;
    let second = kit.tie(&alias, &other, "living", false).await;
    let ties = [record(&first), record(&second)];
    let (survivor, alias) = (record(&survivor), record(&alias));
    let mut phone = kit.server.phone(VILLAGE).await.unwrap();
    phone.pull(&kit.server, alias).await.unwrap();
    let item = kit.server.conflict_of(alias).await.unwrap();
    let merge = json!({ "action": "merge", "survivor": survivor.0 });
    let reply = kit.server.decide(&kit.supervisor, item, merge).await;
    let reply = reply.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    Merged {
        kit,
        survivor,
        alias,
        ties,
        item,
        phone,
    }
}

impl Merged {
    /// Whether nothing is left of the person by which a file could be read.
    async fn is_gone(&self) {
        let kit = &self.kit;
        let all = [self.survivor, self.alias, self.ties[0], self.ties[1]];
        for sql in [
            "SELECT count(*) FROM changes WHERE record_id = ANY($1)",
            "SELECT count(*) FROM links WHERE record_id = ANY($1)",
            "SELECT count(*) FROM record_tokens WHERE record_id = ANY($1)",
            "SELECT count(*) FROM field_changes WHERE record_id = ANY($1)",
            "SELECT count(*) FROM refused_items WHERE record_id = ANY($1)",
            "SELECT count(*) FROM records WHERE id = ANY($1) AND (wrapped_key <> '' OR state <> '' OR erased_at IS NULL)",
        ] {
            assert_eq!(count(kit, sql, &all).await, 0, "{sql}");
        }
        for id in all {
            let path = format!("/api/records/{id}");
            let reply = kit.send(&kit.supervisor, "GET", &path, Value::Null).await;
            assert_eq!(reply.status, 404, "{}", reply.body);
        }
        let scope = ScopeId::Area(VILLAGE.parse().unwrap());
        let mut tx = system_tx(&kit.server.state.pool).await.unwrap();
        let keys = &kit.server.state.keys;
        let (_, entries) = read::log_after(&mut tx, keys, scope, 0, 1_000, None)
            .await
            .unwrap();
        for id in all {
            assert!(entries.contains(&Entry::Erase(id)), "{id}");
        }
        drop(tx);
        for id in all {
            assert!(!kit.server.is_in(VILLAGE, id).await.unwrap(), "{id}");
        }
    }
}

#[tokio::test]
async fn who_was_merged_is_erased_with_the_survivor() {
    let merged = merged().await;
    let erased = erase(&merged.kit, merged.survivor).await;
    assert_eq!(erased["records"].as_array().unwrap().len(), 4, "{erased}");
    merged.is_gone().await;
}

#[tokio::test]
async fn to_name_what_was_merged_away_erases_the_person() {
    let merged = merged().await;
    erase(&merged.kit, merged.alias).await;
    merged.is_gone().await;
}

#[tokio::test]
async fn what_a_backup_brought_back_is_erased_with_what_was_merged_into_it() {
    let merged = merged().await;
    let state = &merged.kit.server.state;
    let again = registry::service::erase_again(state, &[merged.survivor]).await;
    assert_eq!(again.unwrap(), 4);
    merged.is_gone().await;
    let again = registry::service::erase_again(state, &[merged.survivor]).await;
    assert_eq!(again.unwrap(), 0);
}

#[tokio::test]
async fn who_may_not_erase_where_a_merged_file_lies_erases_none_of_it() {
    let merged = merged().await;
    let mut tx = system_tx(&merged.kit.server.state.pool).await.unwrap();
    sqlx::query("UPDATE records SET areas = ARRAY[$2] WHERE id = $1")
        .bind(merged.alias.0)
        .bind(OTHER_VILLAGE)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let (kit, id) = (&merged.kit, merged.survivor);
    let body = json!({ "ground": "request", "confirm": id.0 });
    let path = format!("/api/records/{id}/erase");
    let reply = kit.send(&kit.administrator, "POST", &path, body).await;
    assert_eq!((reply.status, reply.code()), (403, "beyond_own_area"));
    let left = "SELECT count(*) FROM records WHERE id = ANY($1) AND erased_at IS NULL";
    assert_eq!(count(kit, left, &[merged.survivor, merged.alias]).await, 2);
}

#[tokio::test]
async fn a_decided_item_of_an_erased_person_can_still_be_looked_at() {
    let mut merged = merged().await;
    // A proposal for the survivor, filed under it and made to the other.
    let late = merged
        .phone
        .edit(merged.alias, &fields(&[("workplace", "某厂")]))
        .unwrap();
    let kit = &merged.kit;
    merged.phone.send(&kit.server, vec![late]).await.unwrap();
    let proposal = kit.server.conflict_of(merged.survivor).await.unwrap();
    let open = kit.server.conflict(&kit.supervisor, proposal).await;
    assert_eq!(open.unwrap()["refused"].as_array().unwrap().len(), 1);
    erase(kit, merged.survivor).await;
    for item in [merged.item, proposal] {
        let shown = kit.server.conflict(&kit.supervisor, item).await.unwrap();
        assert!(shown["record_now"].is_null(), "{shown}");
        assert_eq!(shown["refused"], json!([]));
        let path = format!("/api/conflicts/{item}/decision");
        let undone = kit.send(&kit.supervisor, "DELETE", &path, Value::Null);
        let undone = undone.await;
        assert_eq!((undone.status, undone.code()), (409, "not_decided"));
    }
    assert_eq!(
        kit.get(&kit.supervisor, "/api/conflicts?status=open").await["items"],
        json!([])
    );
}

/// A visit with words about a person.
fn visit(phone: &mut Phone, resident: RecordId, area: &str) -> (EventId, Prepared) {
    let (id, item) = phone.visit(resident, area).unwrap();
    let Prepared::Event(event) = item else {
        unreachable!()
    };
    let mut values = event.fields;
    values.insert("note".to_owned(), PRIVATE.into());
    let fields = values;
    (id, Prepared::Event(EventItem { fields, ..event }))
}

fn is_too_late(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(refusal) if refusal.code == "erased")
}

#[tokio::test]
async fn what_was_refused_about_an_erased_person_goes_with_the_person() {
    let kit = Kit::new().await;
    let person = record(&kit.resident("叶海思", "1970-04-27", json!({})).await);
    let other = record(&kit.resident("张三丰", "1980-01-01", json!({})).await);
    let mut phone = kit.server.phone(VILLAGE).await.unwrap();
    let (told, first) = visit(&mut phone, person, OTHER_VILLAGE);
    let (before, second) = visit(&mut phone, person, OTHER_VILLAGE);
    let (stays, third) = visit(&mut phone, other, OTHER_VILLAGE);
    let mut home = fields(&[("kind", "living"), ("address", "永嘉路5弄6号201室")]);
    home.insert("resident".to_owned(), person.to_string().into());
    home.insert("_area".to_owned(), OTHER_VILLAGE.into());
    let (home, fourth) = phone.create("residence", &home).unwrap();
    let sent = vec![first, second, third, fourth];
    for outcome in phone.send(&kit.server, sent).await.unwrap() {
        assert!(
            matches!(&outcome, Outcome::Refused(refusal) if refusal.code == "out_of_scope"),
            "{outcome:?}"
        );
    }
    // One that was refused when it was not yet noted whom it tells of.
    let mut tx = system_tx(&kit.server.state.pool).await.unwrap();
    sqlx::query("UPDATE refused_items SET subjects = NULL WHERE record_id = $1")
        .bind(before.0)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let gone = [told.into(), before.into(), home];
    let mut items = Vec::new();
    for id in gone {
        items.push(kit.server.conflict_of(id).await.unwrap());
    }
    let open = kit.server.conflict_of(stays.into()).await.unwrap();

    erase(&kit, person).await;
    let kept = "SELECT count(*) FROM refused_items WHERE record_id = ANY($1)";
    assert_eq!(count(&kit, kept, &gone).await, 0);
    assert_eq!(count(&kit, kept, &[stays.into()]).await, 1);
    let person = kit.server.person(Role::Supervisor, OTHER_DISTRICT);
    let there = person.await.unwrap();
    for (item, who) in items
        .into_iter()
        .zip([&kit.supervisor, &kit.supervisor, &there])
    {
        let shown = kit.server.conflict(who, item).await.unwrap();
        assert_eq!(shown["refused"], json!([]), "{shown}");
        assert_eq!(shown["status"], "dismissed");
    }
    let shown = kit.server.conflict(&kit.supervisor, open).await.unwrap();
    assert_eq!(shown["status"], "open");
    assert!(shown["refused"].to_string().contains(PRIVATE), "{shown}");
}

/// One of a colleague's refused edits named the person by mistake; the others are for the supervisor as before.
#[tokio::test]
async fn what_was_refused_about_others_stays_to_be_decided() {
    let kit = Kit::new().await;
    let person = record(&kit.resident("叶海思", "1970-04-27", json!({})).await);
    let other = record(&kit.resident("张三丰", "1980-01-01", json!({})).await);
    let mut phone = kit.server.phone(VILLAGE).await.unwrap();
    let (home, item) = phone.residence(other, "永嘉路5弄6号201室", false).unwrap();
    phone.send(&kit.server, vec![item]).await.unwrap();
    let person_text = person.to_string();
    for puts in [
        fields(&[("main", "也许"), ("room", "北间")]),
        fields(&[("main", "也许"), ("resident", &person_text)]),
    ] {
        phone.pull(&kit.server, home).await.unwrap();
        let edit = phone.edit(home, &puts).unwrap();
        let outcomes = phone.send(&kit.server, vec![edit]).await.unwrap();
        assert!(matches!(outcomes[0], Outcome::Refused(_)), "{outcomes:?}");
    }
    let item = kit.server.conflict_of(home).await.unwrap();
    let shown = kit.server.conflict(&kit.supervisor, item).await.unwrap();
    assert_eq!(shown["refused"].as_array().unwrap().len(), 2, "{shown}");
    erase(&kit, person).await;
    let left = kit.server.conflict(&kit.supervisor, item).await.unwrap();
    assert_eq!(left["status"], "open", "{left}");
    assert_eq!(left["refused"].as_array().unwrap().len(), 1, "{left}");
    assert!(!left.to_string().contains(&person_text), "{left}");
    assert_ne!(
        left["version"], shown["version"],
        "who looked before decides anew"
    );
}

#[tokio::test]
async fn what_tells_of_an_erased_person_later_is_kept_nowhere() {
    let Merged {
        kit,
        survivor,
        alias,
        mut phone,
        ..
    } = merged().await;
    let other = record(&kit.resident("张三丰", "1980-01-01", json!({})).await);
    let (moved, item) = phone.residence(other, "永嘉路5弄6号201室", false).unwrap();
    phone.send(&kit.server, vec![item]).await.unwrap();
    phone.pull(&kit.server, survivor).await.unwrap();
    erase(&kit, survivor).await;
    let traces = "SELECT count(*) FROM refused_items WHERE id <> ALL($1)";
    let events = "SELECT count(*) FROM events WHERE id <> ALL($1)";
    let queue = "SELECT count(*) FROM conflicts WHERE id <> ALL($1)";
    let before = (
        count(&kit, traces, &[]).await,
        count(&kit, events, &[]).await,
        count(&kit, queue, &[]).await,
    );

    let (_, first) = visit(&mut phone, survivor, VILLAGE);
    let (_, second) = visit(&mut phone, alias, VILLAGE);
    let (home, third) = phone.residence(survivor, PRIVATE, false).unwrap();
    let more = fields(&[("room", "北间")]);
    let fourth = phone.edit(home, &more).unwrap();
    let fifth = phone
        .edit(survivor, &fields(&[("remark", PRIVATE)]))
        .unwrap();
    let sent = vec![first, second, third, fourth, fifth];
    for outcome in phone.send(&kit.server, sent).await.unwrap() {
        assert!(is_too_late(&outcome), "{outcome:?}");
    }
    // What builds on the residence comes in another envelope.
    let sixth = phone.edit(home, &fields(&[("room", "南间")])).unwrap();
    let outcomes = phone.send(&kit.server, vec![sixth]).await.unwrap();
    assert!(is_too_late(&outcomes[0]), "{outcomes:?}");
    let after = (
        count(&kit, traces, &[]).await,
        count(&kit, events, &[]).await,
        count(&kit, queue, &[]).await,
    );
    assert_eq!(before, after, "nothing of it is kept");
    let there =
        "SELECT count(*) FROM records WHERE id = ANY($1) AND erased_at IS NOT NULL AND state = ''";
    assert_eq!(count(&kit, there, &[home]).await, 1);
    let path = format!("/api/records/{home}");
    let reply = kit.send(&kit.supervisor, "GET", &path, Value::Null).await;
    assert_eq!(reply.status, 404);

    // Of another person's residence the supervisor decides.
    let mut wrong = fields(&[]);
    wrong.insert("resident".to_owned(), survivor.to_string().into());
    let wrong = phone.edit(moved, &wrong).unwrap();
    let outcomes = phone.send(&kit.server, vec![wrong]).await.unwrap();
    let kept = matches!(&outcomes[0], Outcome::Refused(refusal) if refusal.code == "old_epoch");
    assert!(kept, "{outcomes:?}");
    assert_eq!(count(&kit, traces, &[]).await, before.0 + 1);
    let held = kit.server.value_of(moved, "resident").await.unwrap();
    assert_eq!(held, Some(other.to_string().into()));
    // And what names someone who is still there is taken.
    let (_, honest) = visit(&mut phone, other, VILLAGE);
    let outcomes = phone.send(&kit.server, vec![honest]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Accepted]);
}
