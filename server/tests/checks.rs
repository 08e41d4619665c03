//! A claim to a main residence is checked by those responsible for the addresses, on phones without a signal too.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod device;

use std::time::Duration;

use device::SimDevice;
use doorstep_core::ids::RecordId;
use doorstep_core::rights::Role;
use doorstep_core::value::Value as Scalar;
use doorstep_server::domains::checks;
use doorstep_server::testing::city::{NEXT_VILLAGE, OTHER_VILLAGE, STREET, VILLAGE};
use doorstep_server::testing::{Person, TestServer};
use serde_json::{Value, json};

/// A resident of the village whose main residence the next village's collector claims, without a signal.
struct Claimed {
    server: TestServer,
    one: SimDevice,
    two: SimDevice,
    supervisor: Person,
    liaison: Person,
    resident: RecordId,
    here: RecordId,
    there: RecordId,
}

impl Claimed {
    async fn new() -> Self {
        let server = TestServer::open_city().await.unwrap();
        let supervisor = server.person(Role::Supervisor, STREET).await.unwrap();
        let liaison = server.person(Role::PoliceLiaison, VILLAGE).await.unwrap();
        let mut one = SimDevice::new(&server, VILLAGE).await;
        let mut two = SimDevice::new(&server, NEXT_VILLAGE).await;
        let resident = one.create_resident("叶海思", "310115197004275621");
        let here = one.create_residence(resident, "陕西中路12弄28号1702室", true);
        one.sync().await;
        let there = server
            .lives_at(resident, NEXT_VILLAGE, "永嘉路5弄6号201室")
            .await
            .unwrap();
        two.sync().await;
        two.claim_main(there);
        two.sync().await;
        checks::service::work(&server.state).await.unwrap();
        one.sync().await;
        two.sync().await;
        Self {
            server,
            one,
            two,
            supervisor,
            liaison,
            resident,
            here,
            there,
        }
    }

    async fn get(&self, who: &Person, path: &str) -> Value {
        self.server.get(who, path).await.unwrap()
    }

    async fn answer(&self, who: &Person, check: &str, body: Value) -> (u16, String) {
        let path = format!("/api/checks/{check}/answer");
        let reply = self
            .server
            .send("POST", &path, Some(&who.token), Some(body))
            .await
            .unwrap();
        (reply.status, reply.code().to_owned())
    }

    async fn told(&self, who: &Person) -> Vec<String> {
        let list = self.get(who, "/api/messages").await;
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| item["code"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn work_and_sync(&mut self) {
        checks::service::work(&self.server.state).await.unwrap();
        self.one.sync().await;
        self.two.sync().await;
    }

    /// Whether the resident mainly lives here, and there: as the register and each one's phone say.
    async fn mains(&self) -> (Option<Scalar>, Option<Scalar>) {
        let phones = (
            self.one.field(self.here, "main"),
            self.two.field(self.there, "main"),
        );
        let register = (
            self.server.value_of(self.here, "main").await.unwrap(),
            self.server.value_of(self.there, "main").await.unwrap(),
        );
        assert_eq!(register, phones, "phones follow the register");
        register
    }

    async fn status(&self, check: &str) -> Value {
        let path = format!("/api/checks/{check}");
        self.get(&self.supervisor, &path).await["status"].clone()
    }
}

const YES: Option<Scalar> = Some(Scalar::Bool(true));
const NO: Option<Scalar> = Some(Scalar::Bool(false));

#[tokio::test]
async fn a_claims_check_reaches_the_phone_of_the_address_and_those_who_decide_are_told() {
    let claimed = Claimed::new().await;
    let check = claimed.one.checks();
    assert_eq!(check.len(), 1, "the collector of the address is asked");
    assert!(claimed.two.checks().is_empty(), "not the one who claims");
    assert_eq!(claimed.one.messages("main_residence_check"), 1);
    assert_eq!(claimed.two.messages("main_residence_check"), 0);
    let list = claimed.get(&claimed.one.person, "/api/checks").await;
    let item = &list["items"][0];
    assert_eq!(item["id"], json!(check[0]));
    assert_eq!(item["residence"], json!(claimed.here));
    assert_eq!(item["resident"], json!(claimed.resident));
    assert_eq!(
        claimed.told(&claimed.one.person).await,
        ["main_residence_check"]
    );
    for concerned in [&claimed.supervisor, &claimed.liaison] {
        assert_eq!(
            claimed.told(concerned).await,
            ["main_residence_claimed"],
            "one who is no collector, but concerned"
        );
    }
    let (status, _) = claimed
        .answer(&claimed.liaison, &check[0], json!({ "answer": "01" }))
        .await;
    assert_eq!(
        status, 403,
        "the police's contact is told, and writes nothing"
    );
    let elsewhere = claimed
        .server
        .person(Role::Supervisor, OTHER_VILLAGE)
        .await
        .unwrap();
    assert!(claimed.told(&elsewhere).await.is_empty());
    let none = claimed.get(&elsewhere, "/api/checks?status=any").await;
    assert_eq!(none["items"], json!([]));
    checks::service::work(&claimed.server.state).await.unwrap();
    let again = claimed
        .get(&claimed.supervisor, "/api/checks?status=any")
        .await;
    assert_eq!(again["items"].as_array().unwrap().len(), 1, "asked once");
}

#[tokio::test]
async fn a_check_confirmed_without_a_signal_moves_the_main_residence_and_both_phones_follow() {
    let mut claimed = Claimed::new().await;
    let check = claimed.one.checks()[0].clone();
    let resident = claimed.resident;
    claimed.one.answer_check(&check, resident, "01");
    assert_eq!(claimed.one.unsent(), 1, "kept on the phone");
    claimed.one.sync().await;
    claimed.work_and_sync().await;
    assert_eq!(claimed.mains().await, (NO, YES));
    assert_eq!(claimed.status(&check).await, "confirmed");
    assert!(claimed.one.checks().is_empty(), "asked no longer");
    let queue = claimed
        .get(
            &claimed.supervisor,
            "/api/conflicts?kind=main_residence&status=decided",
        )
        .await;
    assert_eq!(queue["items"].as_array().unwrap().len(), 1);
    let ledger = claimed
        .get(&claimed.supervisor, "/api/ledger/addresses")
        .await;
    assert_eq!(
        (
            &ledger["items"][0]["from"]["id"],
            &ledger["items"][0]["to"]["id"]
        ),
        (&json!(claimed.here), &json!(claimed.there))
    );
    assert_eq!(
        claimed.two.messages("conflict_decided"),
        1,
        "the claimer is told"
    );
    // The same answer again, and another's: nothing moves twice.
    claimed.one.answer_check(&check, resident, "02");
    claimed.one.sync().await;
    claimed.work_and_sync().await;
    assert_eq!(claimed.status(&check).await, "confirmed");
    assert_eq!(claimed.mains().await, (NO, YES));
    assert_eq!(
        claimed.one.messages("check_settled"),
        1,
        "it came too late, and says so"
    );
}

#[tokio::test]
async fn a_check_denied_or_returned_goes_to_the_supervisor_whose_decision_ends_it() {
    let mut claimed = Claimed::new().await;
    let check = claimed.one.checks()[0].clone();
    let collector = claimed.one.person.clone();
    let stranger = claimed
        .server
        .person(Role::Collector, OTHER_VILLAGE)
        .await
        .unwrap();
    let body = json!({ "answer": "02" });
    assert_eq!(claimed.answer(&stranger, &check, body.clone()).await.0, 404);
    let unsaid = claimed
        .answer(&collector, &check, json!({ "answer": "03" }))
        .await;
    assert_eq!(unsaid.0, 422, "a return needs its reason");
    let unknown = claimed
        .answer(&collector, &check, json!({ "answer": "09" }))
        .await;
    assert_eq!(unknown.0, 422);
    assert_eq!(
        claimed.answer(&collector, &check, body.clone()).await.0,
        200
    );
    assert_eq!(claimed.status(&check).await, "denied");
    assert_eq!(
        claimed.answer(&collector, &check, body).await,
        (409, "already_settled".to_owned())
    );
    claimed.work_and_sync().await;
    assert_eq!(
        claimed.mains().await,
        (YES, YES),
        "nothing moves before the decision"
    );
    assert_eq!(
        claimed
            .told(&claimed.supervisor)
            .await
            .iter()
            .filter(|code| *code == "check_answered")
            .count(),
        1
    );
    assert_eq!(decide(&claimed, "deny").await, 200);
    claimed.work_and_sync().await;
    assert_eq!(claimed.mains().await, (YES, NO));
}

#[tokio::test]
async fn a_confirmed_claim_in_the_queue_moves_the_main_residence_ends_its_checks_and_both_phones_follow()
 {
    let mut claimed = Claimed::new().await;
    let check = claimed.one.checks()[0].clone();
    assert_eq!(decide(&claimed, "confirm").await, 200);
    claimed.work_and_sync().await;
    assert_eq!(claimed.mains().await, (NO, YES));
    assert_eq!(claimed.status(&check).await, "closed");
    assert!(claimed.one.checks().is_empty());
    for device in [&claimed.one, &claimed.two] {
        assert_eq!(
            device.messages("conflict_decided"),
            1,
            "both communities are told"
        );
    }
    let ledger = claimed
        .get(&claimed.supervisor, "/api/ledger/addresses")
        .await;
    assert_eq!(
        ledger["items"].as_array().unwrap().len(),
        2,
        "the first, and the move"
    );
}

#[tokio::test]
async fn a_check_that_nobody_answers_in_time_goes_to_the_supervisor_once() {
    let claimed = Claimed::new().await;
    let check = claimed.one.checks()[0].clone();
    claimed
        .server
        .clock
        .advance(Duration::from_secs(3 * 86_400 + 60));
    checks::service::work(&claimed.server.state).await.unwrap();
    checks::service::work(&claimed.server.state).await.unwrap();
    let overdue = claimed
        .server
        .messages(claimed.supervisor.id, "check_overdue")
        .await
        .unwrap();
    assert_eq!(overdue.len(), 1);
    let audit: Vec<(String,)> = {
        let mut tx = doorstep_server::database::system_tx(&claimed.server.state.pool)
            .await
            .unwrap();
        sqlx::query_as("SELECT subject_id FROM audit_entries WHERE action = 'escalate_check'")
            .fetch_all(&mut *tx)
            .await
            .unwrap()
    };
    assert_eq!(audit, [(check.clone(),)]);
    // The collector can still answer, signed in anew.
    let mut collector = claimed.one.person.clone();
    let reply = claimed
        .server
        .sign_in(&collector.login, &collector.password)
        .await
        .unwrap();
    collector.token = reply.body["token"].as_str().unwrap().to_owned();
    let list = claimed.get(&collector, "/api/checks?overdue=true").await;
    assert_eq!(list["items"][0]["id"], json!(check));
    let body = json!({ "answer": "03", "note": "多次上门无人" });
    assert_eq!(claimed.answer(&collector, &check, body).await.0, 200);
    let path = format!("/api/checks/{check}");
    let shown = claimed.get(&collector, &path).await;
    assert_eq!(
        (&shown["status"], &shown["overdue"], &shown["answered_by"]),
        (&json!("returned"), &json!(true), &json!(collector.id))
    );
}

#[tokio::test]
async fn about_who_was_erased_nobody_is_asked_any_longer() {
    let mut claimed = Claimed::new().await;
    let check = claimed.one.checks()[0].clone();
    let server = &claimed.server;
    let administrator = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let path = format!("/api/records/{}/erase", claimed.resident);
    let body = json!({ "ground": "request", "confirm": claimed.resident });
    let reply = server
        .send("POST", &path, Some(&administrator.token), Some(body))
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    claimed.work_and_sync().await;
    assert!(claimed.one.checks().is_empty(), "on the phone too");
    assert_eq!(claimed.status(&check).await, "closed");
}

/// The supervisor decides the claim in the queue.
async fn decide(claimed: &Claimed, action: &str) -> u16 {
    let queue = claimed
        .get(&claimed.supervisor, "/api/conflicts?kind=main_residence")
        .await;
    let item = queue["items"][0]["id"].as_str().unwrap().parse().unwrap();
    let decision = json!({ "action": action });
    let reply = claimed
        .server
        .decide(&claimed.supervisor, item, decision)
        .await
        .unwrap();
    assert!(reply.status < 500, "{}", reply.body);
    reply.status
}
