//! Groups that are committed at the same moment and concern each other beyond the records they change: what one writes
//! the other must see, and neither may wait for the other for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use doorstep_core::ids::EventId;
use doorstep_core::protocol::frames::Outcome;
use doorstep_core::value::Value;
use doorstep_server::register::Prepared;
use doorstep_server::testing::TestServer;
use doorstep_server::testing::phone::fields;

const AREA: &str = "310101002001";

const COUNT: &str =
    "SELECT count(*) FROM conflicts WHERE kind = $1 AND status = 'open' AND record_id = ANY($2)";

async fn open_items(server: &TestServer, kind: &str, records: &[uuid::Uuid]) -> i64 {
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    sqlx::query_scalar(COUNT)
        .bind(kind)
        .bind(records)
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

/// An ID number (GB 11643-1999) with its check digit.
fn number(order: usize) -> String {
    const WEIGHTS: [usize; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let digits = format!("31010119800101{order:03}");
    let sum: usize = digits
        .bytes()
        .zip(WEIGHTS)
        .map(|(digit, weight)| usize::from(digit - b'0') * weight)
        .sum();
    format!("{digits}{}", &"10X98765432"[sum % 11..=sum % 11])
}

fn all_accepted(outcomes: &[Outcome]) -> bool {
    outcomes
        .iter()
        .all(|outcome| matches!(outcome, Outcome::Accepted))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_recorded_by_two_phones_at_once_is_always_found() {
    let server = TestServer::open_city().await.unwrap();
    let mut one = server.phone(AREA).await.unwrap();
    let mut two = server.phone(AREA).await.unwrap();
    for round in 0..12 {
        let number = number(round * 2 + 1);
        let (first, item) = one.resident("叶海思", &number).unwrap();
        let (second, other) = two.resident("叶海思", &number).unwrap();
        let (here, there) = tokio::join!(
            one.send(&server, vec![item]),
            two.send(&server, vec![other])
        );
        assert!(all_accepted(&here.unwrap()) && all_accepted(&there.unwrap()));
        let found = open_items(&server, "duplicate_person", &[first.0, second.0]).await;
        assert_eq!(found, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_main_residences_claimed_at_once_are_one_item() {
    let server = TestServer::open_city().await.unwrap();
    let mut one = server.phone(AREA).await.unwrap();
    let mut two = server.phone(AREA).await.unwrap();
    for round in 0..12 {
        let (resident, item) = one.resident("叶海思", "").unwrap();
        one.send(&server, vec![item]).await.unwrap();
        two.learn(resident, &one);
        let (_, first) = one
            .residence(resident, &format!("思南路{round}号"), true)
            .unwrap();
        let (_, second) = two
            .residence(resident, &format!("皋兰路{round}号"), true)
            .unwrap();
        let (here, there) = tokio::join!(
            one.send(&server, vec![first]),
            two.send(&server, vec![second])
        );
        assert!(all_accepted(&here.unwrap()) && all_accepted(&there.unwrap()));
        let found = open_items(&server, "main_residence", &[resident.0]).await;
        assert_eq!(found, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_and_edits_of_the_same_people_at_once_do_not_stand_in_each_others_way() {
    let server = TestServer::open_city().await.unwrap();
    let mut one = server.phone(AREA).await.unwrap();
    let mut two = server.phone(AREA).await.unwrap();
    let mut people = Vec::new();
    for _ in 0..6 {
        let (resident, item) = one.resident("叶海思", "").unwrap();
        one.send(&server, vec![item]).await.unwrap();
        two.learn(resident, &one);
        people.push(resident);
    }
    for round in 0..10 {
        let mut moves = Vec::new();
        let mut edits = Vec::new();
        for (at, resident) in people.iter().enumerate() {
            let address = format!("思南路{round}弄{at}号");
            moves.push(one.residence(*resident, &address, false).unwrap().1);
            edits.push(
                two.edit(*resident, &fields(&[("remark", &address)]))
                    .unwrap(),
            );
            edits.push(two.resident("林晓", "").unwrap().1);
        }
        edits.reverse();
        let (here, there) = tokio::join!(one.send(&server, moves), two.send(&server, edits));
        assert!(
            all_accepted(&here.unwrap()) && all_accepted(&there.unwrap()),
            "round {round}"
        );
    }
    let remark = server.value_of(people[0], "remark").await.unwrap();
    assert_eq!(remark, Some(Value::from("思南路9弄0号")));
}

/// Neither sees what the other writes, and yet one of them must not be taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_given_to_a_record_and_to_an_event_at_once_is_given_to_one() {
    const BOTH: &str = "SELECT (SELECT count(*) FROM records WHERE id = ANY($1)), \
        (SELECT count(*) FROM events WHERE id = ANY($1))";
    let server = TestServer::open_city().await.unwrap();
    let mut one = server.phone(AREA).await.unwrap();
    let mut two = server.phone("310101002002").await.unwrap();
    let (resident, item) = two.resident("叶海思", "").unwrap();
    two.send(&server, vec![item]).await.unwrap();
    for round in 0..12 {
        let (record, item) = one.resident("林晓", "").unwrap();
        let (_, event) = two.visit(resident, "310101002002").unwrap();
        let Prepared::Event(mut event) = event else {
            unreachable!()
        };
        event.id = EventId(record.0);
        let event = Prepared::Event(event);
        let (here, there) = tokio::join!(
            one.send(&server, vec![item.clone()]),
            two.send(&server, vec![event.clone()])
        );
        // Whoever comes too late for the other's row may fail, and is judged again, as the committer does it.
        for (phone, item, said) in [(&one, item, here), (&two, event, there)] {
            if said.is_err() {
                phone.send(&server, vec![item]).await.unwrap();
            }
        }
        let mut tx = doorstep_server::database::system_tx(&server.state.pool)
            .await
            .unwrap();
        let (records, events): (i64, i64) = sqlx::query_as(BOTH)
            .bind([record.0].as_slice())
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(records + events, 1, "round {round}");
    }
}

#[tokio::test]
async fn an_id_given_twice_in_one_envelope_is_the_firsts() {
    let server = TestServer::open_city().await.unwrap();
    let mut phone = server.phone(AREA).await.unwrap();
    let (resident, item) = phone.resident("叶海思", "").unwrap();
    phone.send(&server, vec![item]).await.unwrap();
    for record_first in [true, false] {
        let (record, item) = phone.resident("林晓", "").unwrap();
        let (_, event) = phone.visit(resident, AREA).unwrap();
        let Prepared::Event(mut event) = event else {
            unreachable!()
        };
        event.id = EventId(record.0);
        let mut items = vec![item, Prepared::Event(event)];
        if !record_first {
            items.reverse();
        }
        let outcomes = phone.send(&server, items).await.unwrap();
        assert_eq!(outcomes[0], Outcome::Accepted);
        assert!(
            matches!(&outcomes[1], Outcome::Refused(why) if why.code == "id_taken"),
            "{outcomes:?}"
        );
    }
}
