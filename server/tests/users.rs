//! Users and grants: graded administration, roles kept apart, end dates, tampered rows, why.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use doorstep_core::rights::Role;
use doorstep_server::testing::city::{
    CITY, DISTRICT, NEXT_VILLAGE, OTHER_DISTRICT, OTHER_VILLAGE, STREET, VILLAGE,
};
use doorstep_server::testing::{Person, Reply, TestServer};
use serde_json::json;

async fn grant(server: &TestServer, by: &Person, to: &Person, role: &str, area: &str) -> Reply {
    let path = format!("/api/users/{}/grants", to.id);
    server
        .send(
            "POST",
            &path,
            Some(&by.token),
            Some(json!({ "role": role, "area": area })),
        )
        .await
        .unwrap()
}

#[tokio::test]
async fn administrators_grant_within_their_own_area_and_below_their_own_level() {
    let server = TestServer::open_city().await.unwrap();
    let street = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let city = server
        .administrator(Role::AreaAdministrator)
        .unwrap()
        .clone();
    let person = server.person_without_role(VILLAGE, &city).await.unwrap();
    for (role, area, status, code) in [
        ("collector", VILLAGE, 201, ""),
        ("supervisor", STREET, 201, ""),
        ("area_administrator", VILLAGE, 201, ""),
        ("area_administrator", STREET, 403, "beyond_own_level"),
        ("collector", DISTRICT, 403, "beyond_own_level"),
        ("collector", OTHER_VILLAGE, 403, "beyond_own_level"),
        ("security_administrator", VILLAGE, 403, "beyond_own_level"),
        ("auditor", VILLAGE, 403, "beyond_own_level"),
        ("server", VILLAGE, 422, "invalid_fields"),
        ("collector", VILLAGE, 409, "already_granted"),
    ] {
        let reply = grant(&server, &street, &person, role, area).await;
        assert_eq!(
            (reply.status, reply.code()),
            (status, code),
            "{role} in {area}: {}",
            reply.body
        );
    }
    let elsewhere = server
        .person_without_role(OTHER_VILLAGE, &city)
        .await
        .unwrap();
    assert_eq!(
        grant(&server, &street, &elsewhere, "collector", VILLAGE)
            .await
            .status,
        404,
        "not theirs to see"
    );
    for own in [&street, &city] {
        let reply = grant(&server, own, own, "supervisor", VILLAGE).await;
        assert_eq!(reply.code(), "own_grant");
    }
}

#[tokio::test]
async fn the_three_administrators_stay_apart() {
    let server = TestServer::open_city().await.unwrap();
    let guard = server
        .administrator(Role::SecurityAdministrator)
        .unwrap()
        .clone();
    let admin = server
        .administrator(Role::AreaAdministrator)
        .unwrap()
        .clone();
    let person = server.person_without_role(DISTRICT, &admin).await.unwrap();
    assert_eq!(
        grant(&server, &guard, &person, "auditor", DISTRICT)
            .await
            .status,
        201
    );
    assert_eq!(
        grant(&server, &guard, &person, "security_administrator", DISTRICT)
            .await
            .code(),
        "roles_apart"
    );
    assert_eq!(
        grant(&server, &admin, &person, "area_administrator", DISTRICT)
            .await
            .code(),
        "roles_apart"
    );
    assert_eq!(
        grant(&server, &admin, &person, "collector", VILLAGE)
            .await
            .code(),
        "roles_apart"
    );
    let two = [
        grant(&server, &guard, &admin, "auditor", DISTRICT),
        grant(&server, &guard, &admin, "auditor", STREET),
    ];
    for reply in futures_util::future::join_all(two).await {
        assert_eq!(reply.code(), "roles_apart");
    }
}

#[tokio::test]
async fn a_grant_ends_by_its_date_and_when_taken_back_and_takes_effect_at_once() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server
        .administrator(Role::AreaAdministrator)
        .unwrap()
        .clone();
    let person = server.person_without_role(VILLAGE, &admin).await.unwrap();
    let may = async || {
        server
            .send("GET", "/api/areas", Some(&person.token), None)
            .await
            .unwrap()
            .status
            == 200
    };
    assert!(!may().await);
    let path = format!("/api/users/{}/grants", person.id);
    let input = json!({ "role": "collector", "area": VILLAGE, "ends_on": "2026-11-24" });
    assert_eq!(
        server
            .send("POST", &path, Some(&admin.token), Some(input.clone()))
            .await
            .unwrap()
            .status,
        201
    );
    assert!(may().await, "today is the last day");
    let past = json!({ "role": "collector", "area": VILLAGE, "ends_on": "2026-11-23" });
    assert_eq!(
        server
            .send("POST", &path, Some(&admin.token), Some(past))
            .await
            .unwrap()
            .body["error"]["fields"][0]["code"],
        "past"
    );

    let session = server
        .sign_in(&person.login, &person.password)
        .await
        .unwrap()
        .body;
    let token = session["token"].as_str().unwrap().to_owned();
    for _ in 0..36 {
        server.clock.advance(Duration::from_secs(25 * 60));
        server
            .send("GET", "/api/auth/me", Some(&token), None)
            .await
            .unwrap();
    }
    // After midnight in Shanghai
    let person = Person {
        token: server
            .sign_in(&person.login, &person.password)
            .await
            .unwrap()
            .body["token"]
            .as_str()
            .unwrap()
            .into(),
        ..person
    };
    let areas = server
        .send("GET", "/api/areas", Some(&person.token), None)
        .await
        .unwrap();
    assert_eq!(areas.status, 403);
    let admin = Person {
        token: server
            .sign_in(&admin.login, &admin.password)
            .await
            .unwrap()
            .body["token"]
            .as_str()
            .unwrap()
            .into(),
        ..admin
    };
    let granted = grant(&server, &admin, &person, "collector", VILLAGE).await;
    assert_eq!(
        server
            .send("GET", "/api/areas", Some(&person.token), None)
            .await
            .unwrap()
            .status,
        200
    );
    let revoke = format!("/api/grants/{}", granted.body["id"].as_str().unwrap());
    assert_eq!(
        server
            .send("DELETE", &revoke, Some(&admin.token), None)
            .await
            .unwrap()
            .status,
        204
    );
    assert_eq!(
        server
            .send("GET", "/api/areas", Some(&person.token), None)
            .await
            .unwrap()
            .status,
        403
    );
    assert_eq!(
        server
            .send("DELETE", &revoke, Some(&admin.token), None)
            .await
            .unwrap()
            .code(),
        "already_revoked"
    );
    let states: Vec<String> = server
        .send("GET", &path, Some(&admin.token), None)
        .await
        .unwrap()
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|g| g["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["ended", "revoked"]);
}

#[tokio::test]
async fn a_grant_row_edited_by_sql_is_refused() {
    let server = TestServer::open_city().await.unwrap();
    let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
    let id = collector.id;
    let why = async |permission: &str, area: &str| {
        let path = format!("/api/auth/why?permission={permission}&area={area}");
        server
            .send("GET", &path, Some(&collector.token), None)
            .await
            .unwrap()
            .body["allowed"]
            == true
    };
    assert!(why("register.write", VILLAGE).await);
    for edit in [
        format!("UPDATE grants SET role = 'area_administrator' WHERE user_id = '{id}'"),
        format!(
            "UPDATE grants SET role = 'collector', area_code = '{CITY}' WHERE user_id = '{id}'"
        ),
    ] {
        assert_eq!(server.database.as_owner(&edit).await.unwrap(), 1);
        for (permission, area) in [
            ("register.write", VILLAGE),
            ("users.manage", VILLAGE),
            ("register.write", CITY),
        ] {
            assert!(
                !why(permission, area).await,
                "{edit}: {permission} in {area}"
            );
        }
    }
    server
        .database
        .as_owner(&format!(
            "INSERT INTO grants SELECT gen_random_uuid(), user_id, 'supervisor', '{VILLAGE}', NULL, NULL, granted_at, \
             NULL, NULL, tag FROM grants WHERE user_id = '{id}'"
        ))
        .await
        .unwrap();
    assert!(
        !why("conflicts.decide", VILLAGE).await,
        "a row made by hand gives nothing"
    );
    let admin = server.administrator(Role::AreaAdministrator).unwrap();
    let grants = server
        .send(
            "GET",
            &format!("/api/users/{id}/grants"),
            Some(&admin.token),
            None,
        )
        .await
        .unwrap()
        .body;
    assert!(
        grants
            .as_array()
            .unwrap()
            .iter()
            .all(|g| g["state"] == "tampered")
    );
}

#[tokio::test]
async fn who_is_outranked_touches_nobody_above() {
    let server = TestServer::open_city().await.unwrap();
    let street = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let peer = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let auditor = server.person(Role::Auditor, VILLAGE).await.unwrap();
    let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
    let post = async |id: uuid::Uuid, deed: &str| {
        server
            .send(
                "POST",
                &format!("/api/users/{id}/{deed}"),
                Some(&street.token),
                None,
            )
            .await
            .unwrap()
    };
    assert_eq!(post(peer.id, "password").await.code(), "outranked");
    assert_eq!(
        post(auditor.id, "password").await.code(),
        "outranked",
        "to set a password is to become the user"
    );
    assert_eq!(
        post(auditor.id, "unlock").await.code(),
        "outranked",
        "who reads the audit is managed by who gives that role"
    );
    let reset = post(collector.id, "password").await;
    assert_eq!(reset.status, 200);
    assert_eq!(
        server
            .send("GET", "/api/auth/me", Some(&collector.token), None)
            .await
            .unwrap()
            .status,
        401,
        "sessions end"
    );
    assert_eq!(
        server
            .sign_in(&collector.login, &collector.password)
            .await
            .unwrap()
            .status,
        401
    );
    let temporary = reset.body["temporary_password"].as_str().unwrap();
    assert_eq!(
        server
            .sign_in(&collector.login, temporary)
            .await
            .unwrap()
            .body["must_change_password"],
        true
    );
}

#[tokio::test]
async fn the_three_administrators_do_not_stop_each_other() {
    let server = TestServer::open_city().await.unwrap();
    let person = async |role: Role, area: &'static str| server.person(role, area).await.unwrap();
    let city = person(Role::AreaAdministrator, CITY).await;
    let security = person(Role::SecurityAdministrator, CITY).await;
    let district = person(Role::SecurityAdministrator, DISTRICT).await;
    let patch = async |by: &Person, whom: &Person, body: serde_json::Value| {
        let path = format!("/api/users/{}", whom.id);
        server
            .send("PATCH", &path, Some(&by.token), Some(body))
            .await
            .unwrap()
    };
    for role in [Role::SecurityAdministrator, Role::Auditor] {
        let one = person(role, DISTRICT).await;
        for body in [
            json!({ "status": "closed" }),
            json!({ "area": OTHER_DISTRICT }),
        ] {
            let reply = patch(&city, &one, body).await;
            assert_eq!((reply.status, reply.code()), (403, "outranked"), "{role}");
        }
        let equal = patch(&district, &one, json!({ "status": "closed" })).await;
        assert_eq!((equal.status, equal.code()), (403, "outranked"), "{role}");
        let closed = patch(&security, &one, json!({ "status": "closed" })).await;
        assert_eq!(closed.status, 200, "{}", closed.body);
    }
}

#[tokio::test]
async fn users_are_found_changed_and_closed_within_the_area_only() {
    let server = TestServer::open_city().await.unwrap();
    let street = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let near = server.person(Role::Collector, VILLAGE).await.unwrap();
    let far = server.person(Role::Collector, OTHER_VILLAGE).await.unwrap();
    let token = Some(street.token.as_str());
    let list = server
        .send("GET", "/api/users", token, None)
        .await
        .unwrap()
        .body;
    let ids: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| u["id"].as_str().unwrap())
        .collect();
    assert!(
        ids.contains(&near.id.to_string().as_str()) && !ids.contains(&far.id.to_string().as_str())
    );
    let by_name = server
        .send(
            "GET",
            &format!("/api/users?text=测试{}", near.login),
            token,
            None,
        )
        .await
        .unwrap()
        .body;
    assert_eq!(by_name["items"][0]["login"], near.login);
    assert_eq!(
        server
            .send(
                "GET",
                &format!("/api/users?area={OTHER_DISTRICT}"),
                token,
                None
            )
            .await
            .unwrap()
            .status,
        403
    );

    let path = format!("/api/users/{}", near.id);
    let shown = server.send("GET", &path, token, None).await.unwrap();
    assert_eq!(shown.headers["etag"], "\"1\"");
    let moved = server
        .send(
            "PATCH",
            &path,
            token,
            Some(json!({ "name": "李四", "area": NEXT_VILLAGE })),
        )
        .await
        .unwrap();
    assert_eq!(
        (moved.status, &moved.body["name"], &moved.body["area"]),
        (200, &json!("李四"), &json!(NEXT_VILLAGE))
    );
    assert_eq!(
        server
            .send(
                "PATCH",
                &path,
                token,
                Some(json!({ "area": OTHER_VILLAGE }))
            )
            .await
            .unwrap()
            .status,
        403
    );
    let stale = reqwest::Client::new()
        .patch(format!("http://{}{path}", server.address))
        .bearer_auth(&street.token)
        .header("if-match", "\"1\"")
        .json(&json!({ "name": "王五" }))
        .send()
        .await
        .unwrap();
    assert_eq!(stale.status().as_u16(), 412);
    let closed = server
        .send("PATCH", &path, token, Some(json!({ "status": "closed" })))
        .await
        .unwrap();
    assert_eq!(closed.body["status"], "closed");
    assert_eq!(
        server
            .send("GET", "/api/auth/me", Some(&near.token), None)
            .await
            .unwrap()
            .status,
        401
    );
    assert_eq!(
        server
            .sign_in(&near.login, &near.password)
            .await
            .unwrap()
            .code(),
        "account_closed"
    );

    let clash = json!({ "login": near.login, "name": "重名", "area": VILLAGE });
    let clash = server
        .send("POST", "/api/users", token, Some(clash))
        .await
        .unwrap();
    assert_eq!((clash.status, clash.code()), (409, "login_taken"));
    let wrong = json!({ "login": "x", "name": "", "area": "31" });
    let wrong = server
        .send("POST", "/api/users", token, Some(wrong))
        .await
        .unwrap();
    assert_eq!(
        wrong.body["error"]["fields"].as_array().unwrap().len(),
        3,
        "every wrong field at once"
    );
}

#[tokio::test]
async fn names_are_sealed_in_the_database() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server
        .administrator(Role::AreaAdministrator)
        .unwrap()
        .clone();
    let input = json!({ "login": "canary", "name": "金丝雀甲乙丙", "area": VILLAGE });
    server
        .send("POST", "/api/users", Some(&admin.token), Some(input))
        .await
        .unwrap();
    let mut tx = doorstep_server::database::system_tx(&server.state.pool)
        .await
        .unwrap();
    let rows: Vec<String> = sqlx::query_scalar("SELECT users::text FROM users")
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    let canary = hex::encode("金丝雀甲乙丙");
    assert!(rows.iter().any(|row| row.contains("canary")));
    assert!(
        rows.iter()
            .all(|row| !row.contains("金丝雀") && !row.contains(&canary))
    );
}

#[tokio::test]
async fn rights_are_shown_with_the_grant_that_gives_them() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server
        .administrator(Role::AreaAdministrator)
        .unwrap()
        .clone();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let rights = server
        .send(
            "GET",
            &format!("/api/users/{}/rights", person.id),
            Some(&admin.token),
            None,
        )
        .await
        .unwrap()
        .body;
    let write = rights
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["permission"] == "register.write")
        .unwrap();
    assert_eq!(
        (&write["area"], &write["role"], write["grant"].is_string()),
        (&json!(VILLAGE), &json!("collector"), true)
    );
    let goes_to = |permission: &str, field: &str| {
        let rights = rights.as_array().unwrap();
        let right = rights.iter().find(|r| r["permission"] == permission);
        let fields = right.unwrap()["fields"]["resident"].as_array().unwrap();
        fields.iter().any(|held| held["name"] == field)
    };
    assert!(goes_to("register.write", "phone"));
    assert!(
        !goes_to("register.write", "police_person_id"),
        "the police's own number is not a collector's to write"
    );
    assert!(goes_to("register.reveal", "id_number") && !goes_to("register.read", "id_number"));
    assert!(
        rights
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["permission"] != "conflicts.decide")
    );
}

#[tokio::test]
async fn an_open_connection_learns_of_new_rights_and_counts_as_use() {
    use doorstep_server::domains::auth::service::{actor_of_token, refresh};
    let server = TestServer::open_city().await.unwrap();
    let admin = server
        .administrator(Role::AreaAdministrator)
        .unwrap()
        .clone();
    let person = server.person_without_role(VILLAGE, &admin).await.unwrap();
    let trail = doorstep_server::domains::audit::Trail::new("socket".into(), None).into();
    let actor = actor_of_token(&server.state, &trail, &person.token)
        .await
        .unwrap();
    assert!(actor.grants.is_empty());
    let mut heard = server.state.live.listen();
    grant(&server, &admin, &person, "collector", VILLAGE).await;
    let notice = heard.recv().await.unwrap();
    assert_eq!(
        notice,
        doorstep_server::live::Notice::RightsChanged(doorstep_core::ids::UserId(person.id))
    );
    assert_eq!(
        refresh(&server.state, &actor).await.unwrap().grants.len(),
        1
    );
    for _ in 0..4 {
        server.clock.advance(Duration::from_secs(20 * 60));
        refresh(&server.state, &actor).await.unwrap();
    }
    server.clock.advance(Duration::from_secs(31 * 60));
    assert_eq!(
        refresh(&server.state, &actor).await.unwrap_err().code,
        "session_idle"
    );
}

#[tokio::test]
async fn what_an_administrator_may_do_about_a_user_is_said_beside_the_user() {
    let server = TestServer::open_city().await.unwrap();
    let street = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
    let equal = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let auditor = server.person(Role::Auditor, VILLAGE).await.unwrap();
    for _ in 0..5 {
        server
            .sign_in(&collector.login, "Wrong-Guess-1")
            .await
            .unwrap();
    }
    let get = async |path: String| {
        let reply = server
            .send("GET", &path, Some(&street.token), None)
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    };
    let list = get("/api/users?limit=100".into()).await;
    let of = |person: &Person| {
        let items = list["items"].as_array().unwrap();
        items
            .iter()
            .find(|user| user["id"] == person.id.to_string())
            .unwrap()
    };
    for (person, manageable, resettable) in [
        (&collector, true, true),
        // Managed by security administrators.
        (&auditor, false, false),
        (&equal, false, false),
        (&street, false, false),
    ] {
        let user = of(person);
        assert_eq!(
            (&user["manageable"], &user["resettable"]),
            (&json!(manageable), &json!(resettable)),
            "{user}"
        );
        // What is said is what is done.
        let path = format!("/api/users/{}/unlock", person.id);
        if !manageable {
            let reply = server
                .send("POST", &path, Some(&street.token), None)
                .await
                .unwrap();
            assert!([403, 409].contains(&reply.status), "{}", reply.body);
        }
    }
    assert_eq!(of(&collector)["roles"][0]["label"], "采集员");
    assert!(of(&collector)["locked_until"].is_string() && of(&equal)["locked_until"].is_null());
    let unlock = format!("/api/users/{}/unlock", collector.id);
    server
        .send("POST", &unlock, Some(&street.token), None)
        .await
        .unwrap();
    let shown = get(format!("/api/users/{}", collector.id)).await;
    assert!(shown["locked_until"].is_null(), "{shown}");

    let grants = get(format!("/api/users/{}/grants", collector.id)).await;
    assert_eq!(grants[0]["revocable"], true);
    let grants = get(format!("/api/users/{}/grants", auditor.id)).await;
    assert_eq!(grants[0]["revocable"], false);
    for (area, expected) in [
        (
            VILLAGE,
            vec![
                "collector",
                "supervisor",
                "police_liaison",
                "area_administrator",
            ],
        ),
        (STREET, vec!["collector", "supervisor", "police_liaison"]),
        (OTHER_VILLAGE, vec![]),
    ] {
        let roles = get(format!("/api/roles?area={area}")).await;
        let given: Vec<&str> = roles
            .as_array()
            .unwrap()
            .iter()
            .filter(|role| role["grantable"] == true)
            .map(|role| role["role"].as_str().unwrap())
            .collect();
        assert_eq!(given, expected, "{area}");
    }
}
