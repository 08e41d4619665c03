//! What a stolen phone can send under its user's name: nothing of it reaches beyond the user's rights, neither by itself
//! nor through the queue, and none of it is in the way of other phones.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_core::crdt::chunk;
use doorstep_core::crypto::actor;
use doorstep_core::envelope::Item;
use doorstep_core::ids::{RecordId, UserId};
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::rights::Role;
use doorstep_core::value::{Fields, Value};
use doorstep_server::register::Prepared;
use doorstep_server::testing::city::{DISTRICT, NEXT_VILLAGE, STREET, VILLAGE};
use doorstep_server::testing::phone::fields;
use doorstep_server::testing::{Person, TestServer};
use serde_json::json;

/// Whoever has heard of a file must not come to have it by saying that its resident lives here.
#[tokio::test]
async fn a_residence_of_someone_elsewhere_is_kept_for_the_supervisors_there() {
    let server = TestServer::open_city().await.unwrap();
    let there = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let here = server.person(Role::Supervisor, NEXT_VILLAGE).await.unwrap();
    let mut one = server.phone(VILLAGE).await.unwrap();
    let mut two = server.phone(NEXT_VILLAGE).await.unwrap();
    let (resident, item) = one.resident("王小二", "").unwrap();
    one.send(&server, vec![item]).await.unwrap();

    let (home, item) = two
        .residence(resident, "厦门中路66弄1号1301室", false)
        .unwrap();
    let more = two.edit(home, &fields(&[("room", "北间")])).unwrap();
    let outcomes = two.send(&server, vec![item, more]).await.unwrap();
    let codes: Vec<&str> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Refused(why) => why.code.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, ["resident_elsewhere", "builds_on_refused"]);
    assert!(server.value_of(home, "resident").await.is_err());
    let members = async || server.is_in(NEXT_VILLAGE, resident).await.unwrap();
    assert!(!members().await, "the file stays where it was");
    let id = server.conflict_of(home).await.unwrap();
    let detail = server.conflict(&there, id).await.unwrap();
    assert_eq!(detail["kind"], "quarantined", "{detail}");
    assert_eq!(detail["refused"].as_array().unwrap().len(), 2, "{detail}");
    let path = format!("/api/conflicts/{id}");
    let hidden = server.send("GET", &path, Some(&here.token), None).await;
    assert_eq!(hidden.unwrap().status, 404);

    // Whoever has rights in both places may take it after all; not who has them in one.
    let accept = json!({ "action": "accept" });
    let reply = server.decide(&there, id, accept.clone()).await.unwrap();
    assert_eq!((reply.status, reply.code()), (403, "beyond_own_rights"));
    let above = server.person(Role::Supervisor, STREET).await.unwrap();
    let reply = server.decide(&above, id, accept).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(members().await);
    // Who is in both villages already may be given another home there; who is made there with it, too.
    let (_, again) = two
        .residence(resident, "厦门中路66弄1号1303室", false)
        .unwrap();
    let (new, made) = two.resident("李四", "").unwrap();
    let (_, tied) = two.residence(new, "厦门中路66弄1号1304室", true).unwrap();
    let outcomes = two.send(&server, vec![again, made, tied]).await.unwrap();
    assert!(
        outcomes.iter().all(|one| *one == Outcome::Accepted),
        "{outcomes:?}"
    );
}

/// Nor by an old file of the same person that was theirs: what is tied to it follows to the one that was kept.
#[tokio::test]
async fn a_residence_of_someone_merged_into_a_file_elsewhere_is_kept_too() {
    const NUMBER: &str = "11010519491231002X";
    let server = TestServer::open_city().await.unwrap();
    let above = server.person(Role::Supervisor, STREET).await.unwrap();
    let mut there = server.phone(VILLAGE).await.unwrap();
    let mut here = server.phone(NEXT_VILLAGE).await.unwrap();
    let (kept, made) = there.resident("王小二", NUMBER).unwrap();
    there.send(&server, vec![made]).await.unwrap();
    let (alias, made) = here.resident("王小二", NUMBER).unwrap();
    here.send(&server, vec![made]).await.unwrap();
    let pair = server.conflict_of(alias).await.unwrap();
    let merge = json!({ "action": "merge", "survivor": kept.0, "take_from_other": [] });
    let reply = server.decide(&above, pair, merge).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    let (_, tied) = here
        .residence(alias, "厦门中路66弄1号1301室", false)
        .unwrap();
    let (_, visited) = here.visit(alias, NEXT_VILLAGE).unwrap();
    let outcomes = here.send(&server, vec![tied, visited]).await.unwrap();
    let [Outcome::Refused(tie), Outcome::Refused(visit)] = outcomes.as_slice() else {
        panic!("{outcomes:?}");
    };
    assert_eq!(tie.code, "resident_elsewhere");
    assert_eq!(visit.code, "out_of_scope");
    assert!(!server.is_in(NEXT_VILLAGE, kept).await.unwrap());

    // The one that was kept is in both villages: so is what was told of the other.
    server
        .lives_at(kept, NEXT_VILLAGE, "厦门中路66弄1号1303室")
        .await
        .unwrap();
    let (_, tied) = here
        .residence(alias, "厦门中路66弄1号1304室", false)
        .unwrap();
    let (_, visited) = here.visit(alias, NEXT_VILLAGE).unwrap();
    for item in [visited, tied] {
        let outcome = here.send(&server, vec![item]).await.unwrap();
        assert_eq!(outcome, [Outcome::Accepted]);
    }
}

/// Nor by saying that an old residence of someone who has moved away counts again.
#[tokio::test]
async fn an_old_residence_of_someone_elsewhere_does_not_count_again_by_a_phone() {
    let server = TestServer::open_city().await.unwrap();
    let there = server.person(Role::Supervisor, NEXT_VILLAGE).await.unwrap();
    let above = server.person(Role::Supervisor, STREET).await.unwrap();
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let (resident, made) = phone.resident("王小二", "").unwrap();
    let (home, tied) = phone
        .residence(resident, "厦门中路66弄1号1301室", false)
        .unwrap();
    phone.send(&server, vec![made, tied]).await.unwrap();
    server
        .lives_at(resident, NEXT_VILLAGE, "厦门中路66弄1号1303室")
        .await
        .unwrap();
    let members = async || server.is_in(VILLAGE, resident).await.unwrap();
    let cancelled = fields(&[
        ("status", "cancelled"),
        ("cancel_reason", "83"),
        ("cancelled_on", "2026-11-20"),
    ]);
    let ended = fields(&[("until", "2026-11-20")]);
    let lasts = Fields::from([("until".to_owned(), Value::Null)]);
    for (over, again) in [(cancelled, fields(&[("status", "active")])), (ended, lasts)] {
        let over = phone.edit(home, &over).unwrap();
        let sent = phone.send(&server, vec![over]).await.unwrap();
        assert_eq!(sent, [Outcome::Accepted]);
        assert!(!members().await, "the resident lives elsewhere now");
        let edit = phone.edit(home, &fields(&[("room", "北间")])).unwrap();
        let again = phone.edit(home, &again).unwrap();
        let outcomes = phone.send(&server, vec![edit, again]).await.unwrap();
        let [Outcome::Accepted, Outcome::Refused(why)] = outcomes.as_slice() else {
            panic!("{outcomes:?}");
        };
        assert_eq!(why.code, "resident_elsewhere");
        assert!(!members().await, "the file stays where it is");
        let item = server.conflict_of(home).await.unwrap();
        let accept = json!({ "action": "accept" });
        let reply = server.decide(&there, item, accept.clone()).await.unwrap();
        assert_eq!((reply.status, reply.code()), (403, "beyond_own_rights"));
        let reply = server.decide(&above, item, accept).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(members().await);
        phone.pull(&server, home).await.unwrap();
    }

    // Who has another home here may have an old one again.
    let (_, other) = phone
        .residence(resident, "厦门中路66弄1号1302室", false)
        .unwrap();
    let over = phone.edit(home, &fields(&[("until", "2026-11-20")]));
    let again = phone.edit(home, &Fields::from([("until".to_owned(), Value::Null)]));
    for item in [other, over.unwrap(), again.unwrap()] {
        let sent = phone.send(&server, vec![item]).await.unwrap();
        assert_eq!(sent, [Outcome::Accepted]);
    }
}

/// Accepting is writing: that something came from someone else's phone gives nobody more than their own rights.
#[tokio::test]
async fn nobody_accepts_what_they_could_not_have_written_or_what_is_their_own() {
    let server = TestServer::open_city().await.unwrap();
    let here = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let chief = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let (resident, item) = phone.resident("王小二", "").unwrap();
    phone.send(&server, vec![item]).await.unwrap();
    let photo = phone
        .edit(resident, &fields(&[("photo_file", "x.jpg")]))
        .unwrap();
    let (visit, event) = phone.visit(resident, NEXT_VILLAGE).unwrap();
    phone.send(&server, vec![photo, event]).await.unwrap();
    // The supervisor's own phone.
    phone.who.user = UserId(here.id);
    let (own, event) = phone.visit(resident, NEXT_VILLAGE).unwrap();
    phone.send(&server, vec![event]).await.unwrap();

    let accept = async |who: &Person, record: RecordId| {
        let item = server.conflict_of(record).await.unwrap();
        let reply = server.decide(who, item, json!({ "action": "accept" }));
        reply.await.unwrap()
    };
    for who in [&here, &chief] {
        let reply = accept(who, resident).await;
        assert_eq!((reply.status, reply.code()), (403, "beyond_own_rights"));
        let problem = &reply.body["error"]["fields"][0];
        assert_eq!(problem["code"], "field_not_writable", "{problem}");
        assert_eq!(problem["path"], "photo_file", "{problem}");
    }
    assert_eq!(server.value_of(resident, "photo_file").await.unwrap(), None);
    let reply = accept(&here, visit.into()).await;
    assert_eq!((reply.status, reply.code()), (403, "beyond_own_rights"));
    let reply = accept(&here, own.into()).await;
    assert_eq!((reply.status, reply.code()), (403, "own_refused_item"));
    for record in [visit.into(), own.into()] {
        let reply = accept(&chief, record).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}

/// Areas that a phone makes up get no key, and what names them lies where its user works.
#[tokio::test]
async fn an_area_that_a_phone_made_up_is_none() {
    const NOWHERE: &str = "310101002999";
    const FAR: &str = "999999999999";
    let server = TestServer::open_city().await.unwrap();
    let chief = server.person(Role::Supervisor, STREET).await.unwrap();
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let (resident, item) = phone.resident("王小二", "").unwrap();
    phone.send(&server, vec![item]).await.unwrap();
    let mut sent = Vec::new();
    let mut records = Vec::new();
    for (area, grant) in [(FAR, VILLAGE), (NOWHERE, STREET)] {
        phone.who.grants = vec![(Role::Supervisor, grant.parse().unwrap())];
        let mut values = fields(&[("name", "李四"), ("sex", "1"), ("population_kind", "01")]);
        values.insert("_area".to_owned(), area.into());
        let (record, item) = phone.create("resident", &values).unwrap();
        let (visit, event) = phone.visit(resident, area).unwrap();
        records.extend([record, visit.into()]);
        for outcome in phone.send(&server, vec![item, event]).await.unwrap() {
            match outcome {
                Outcome::Refused(why) => sent.push(why.code),
                other => panic!("{other:?}"),
            }
        }
    }
    let expected = [
        "out_of_scope",
        "out_of_scope",
        "unknown_area",
        "unknown_area",
    ];
    assert_eq!(sent, expected);
    for record in &records {
        let item = server.conflict_of(*record).await.unwrap();
        server.conflict(&chief, item).await.unwrap();
    }
    // Nor does a supervisor's word bring such an area about.
    let item = server.conflict_of(records[2]).await.unwrap();
    let reply = server
        .decide(&chief, item, json!({ "action": "accept" }))
        .await
        .unwrap();
    assert_eq!((reply.status, reply.code()), (409, "not_applicable"));
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let keys = "SELECT count(*) FROM area_keys WHERE area_code = ANY($1)";
    let keys: i64 = sqlx::query_scalar(keys)
        .bind([NOWHERE, FAR].map(str::to_owned).to_vec())
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(keys, 0);
}

/// Whoever has a phone must not be able to write what no other phone can be sent.
#[tokio::test]
async fn what_would_be_too_long_for_phones_is_kept_for_the_supervisor() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let (resident, item) = phone.resident("王小二", "").unwrap();
    phone.send(&server, vec![item]).await.unwrap();
    let photos = |first: usize, count: usize| -> Fields {
        let digests = (first..first + count).map(|n| format!("photos/{n:064x}"));
        digests.map(|key| (key, Value::Bool(true))).collect()
    };
    let mut visits = Vec::new();
    for more in [
        photos(0, 200),
        photos(0, 201),
        fields(&[("note", &"长".repeat(22_000))]),
    ] {
        let (_, item) = phone.visit(resident, VILLAGE).unwrap();
        let Prepared::Event(mut event) = item else {
            unreachable!()
        };
        event.fields.extend(more);
        visits.push(Prepared::Event(event));
    }
    let codes = |outcomes: Vec<Outcome>| -> Vec<String> {
        let codes = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Refused(why) => why.code,
            other => format!("{other:?}"),
        });
        codes.collect()
    };
    let outcomes = codes(phone.send(&server, visits).await.unwrap());
    assert_eq!(
        outcomes,
        ["Accepted", "too_many_elements", "event_too_large"]
    );

    let (_, many) = phone.create("resident", &photos(0, 201)).unwrap();
    let outcomes = codes(phone.send(&server, vec![many]).await.unwrap());
    assert_eq!(outcomes, ["too_many_elements"]);
    let mut held = 0;
    for edit in 1..100 {
        let item = phone.edit(resident, &photos(edit * 1_000, 200)).unwrap();
        let Prepared::Change { item: sent, .. } = &item else {
            unreachable!()
        };
        let bytes = sent.bytes.len();
        let outcomes = codes(phone.send(&server, vec![item]).await.unwrap());
        if outcomes == ["record_full"] {
            break;
        }
        assert_eq!(outcomes, ["Accepted"], "{held} bytes are held");
        held += bytes;
    }
    assert!((400 * 1024..512 * 1024).contains(&held), "{held}");
    // It is a person's to decide, who sees what it is.
    let item = server.conflict_of(resident).await.unwrap();
    let reply = server
        .decide(&supervisor, item, json!({ "action": "accept" }))
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// What is refused is kept for the supervisor with all that builds on it; what another is said to have made is no part of
/// that.
#[tokio::test]
async fn a_forged_change_is_found_on_top_of_ones_own_refused_one_too() {
    const LEFT: &str = "SELECT (SELECT count(*) FROM refused_items), \
        (SELECT coalesce(sum(times), 0)::bigint FROM alarms WHERE code = 'forged_actor')";
    let server = TestServer::open_city().await.unwrap();
    let colleague = server.phone(VILLAGE).await.unwrap();
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let (resident, item) = phone.resident("王小二", "").unwrap();
    phone.send(&server, vec![item]).await.unwrap();
    let refused = phone.edit(resident, &fields(&[("nickname", "小二")]));
    let on_top = phone.edit(resident, &fields(&[("remark", "搬走了")]));
    let Prepared::Change {
        item: mut forged,
        decoded: Ok((mut change, _)),
    } = on_top.unwrap()
    else {
        unreachable!()
    };
    change.actor = actor::derive(&colleague.who.key, resident, 0);
    forged.bytes = chunk::encode(&change).0;
    let forged = Prepared::from_item(Item::Change(forged));
    let codes = |outcomes: Vec<Outcome>| -> Vec<String> {
        let codes = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Refused(why) => why.code,
            other => format!("{other:?}"),
        });
        codes.collect()
    };
    // In one envelope, and in the next.
    let items = vec![refused.unwrap(), forged.clone()];
    let outcomes = codes(phone.send(&server, items).await.unwrap());
    assert_eq!(outcomes, ["unknown_field", "forged_actor"]);
    let outcomes = codes(phone.send(&server, vec![forged]).await.unwrap());
    assert_eq!(outcomes, ["forged_actor"]);
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let left: (i64, i64) = sqlx::query_as(LEFT).fetch_one(&mut *tx).await.unwrap();
    assert_eq!(left, (1, 2));
}
