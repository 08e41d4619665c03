//! Signing in: passwords, lockout, time-outs, second factor, sessions.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use doorstep_core::rights::Role;
use doorstep_server::clock::Clock;
use doorstep_server::domains::auth::service::code_of_secret;
use doorstep_server::domains::users::service::{NewAdministrator, create_first_administrator};
use doorstep_server::testing::city::{CITY, TREE, VILLAGE};
use doorstep_server::testing::{Person, TestServer};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_fresh_database_has_no_account_and_the_first_comes_by_command_once() {
    let server = TestServer::start().await.unwrap();
    for login in ["admin", "root", "doorstep"] {
        assert_eq!(server.sign_in(login, "admin").await.unwrap().status, 401);
    }
    let new = |login: &str, role| NewAdministrator {
        login: login.into(),
        name: "管理员".into(),
        password: "Initial-Pass-73".into(),
        role,
    };
    let early = create_first_administrator(&server.state, new("admin", Role::AreaAdministrator))
        .await
        .unwrap_err();
    assert_eq!(early.code, "no_areas");
    let options = serde_json::from_value(json!({})).unwrap();
    doorstep_server::domains::areas::service::import(
        &server.state,
        None,
        TREE.as_bytes(),
        &options,
    )
    .await
    .unwrap();
    let weak = NewAdministrator {
        password: "Admin@123".into(),
        ..new("admin", Role::AreaAdministrator)
    };
    assert_eq!(
        create_first_administrator(&server.state, weak)
            .await
            .unwrap_err()
            .code,
        "invalid_fields"
    );
    create_first_administrator(&server.state, new("admin", Role::AreaAdministrator))
        .await
        .unwrap();
    let second = create_first_administrator(&server.state, new("admin2", Role::AreaAdministrator))
        .await
        .unwrap_err();
    assert_eq!(second.code, "administrator_exists");
    create_first_administrator(&server.state, new("guard", Role::SecurityAdministrator))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_first_password_must_be_changed_before_anything_else() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server.person(Role::AreaAdministrator, CITY).await.unwrap();
    let input = json!({ "login": "new-one", "name": "新人", "area": VILLAGE });
    let created = server
        .send("POST", "/api/users", Some(&admin.token), Some(input))
        .await
        .unwrap()
        .body;
    let temporary = created["temporary_password"].as_str().unwrap();
    let opened = server.sign_in("new-one", temporary).await.unwrap().body;
    assert_eq!(opened["must_change_password"], true);
    let token = opened["token"].as_str();
    let refused = server.send("GET", "/api/roles", token, None).await.unwrap();
    assert_eq!(
        (refused.status, refused.code()),
        (403, "password_change_required")
    );
    for weak in ["short1A", "alllowercase", "Password1!", temporary] {
        let change = json!({ "current": temporary, "new": weak });
        let reply = server
            .send("POST", "/api/auth/password", token, Some(change))
            .await
            .unwrap();
        assert_eq!(
            (reply.status, &reply.body["error"]["fields"][0]["path"]),
            (422, &json!("new")),
            "{weak}"
        );
    }
    let change = json!({ "current": temporary, "new": "Quiet-Harbour-5" });
    assert_eq!(
        server
            .send("POST", "/api/auth/password", token, Some(change))
            .await
            .unwrap()
            .status,
        204
    );
    assert_eq!(
        server
            .send("GET", "/api/roles", token, None)
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn the_last_five_passwords_do_not_come_back_and_a_password_ages() {
    let server = TestServer::open_city().await.unwrap();
    let mut person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let first = person.password.clone();
    for round in 0..5 {
        let new = format!("Quiet-Harbour-{round}x");
        let back = json!({ "current": person.password, "new": first });
        let reply = server
            .send(
                "POST",
                "/api/auth/password",
                Some(&person.token),
                Some(back),
            )
            .await
            .unwrap();
        assert_eq!(
            reply.body["error"]["fields"][0]["code"], "reused",
            "after {round} others"
        );
        let change = json!({ "current": person.password, "new": new });
        let reply = server
            .send(
                "POST",
                "/api/auth/password",
                Some(&person.token),
                Some(change),
            )
            .await
            .unwrap();
        assert_eq!(reply.status, 204, "{}", reply.body);
        person.password = new;
    }
    let back = json!({ "current": person.password, "new": first });
    let reply = server
        .send(
            "POST",
            "/api/auth/password",
            Some(&person.token),
            Some(back),
        )
        .await
        .unwrap();
    assert_eq!(reply.status, 204, "the sixth before is free again");

    server.clock.advance(Duration::from_secs(91 * 24 * 3600));
    let opened = server.sign_in(&person.login, &first).await.unwrap().body;
    assert_eq!(opened["must_change_password"], true);
}

#[tokio::test]
async fn five_failures_lock_for_fifteen_minutes_whether_the_login_exists_or_not() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    for login in [person.login.as_str(), "nobody-here"] {
        for _ in 0..5 {
            let reply = server.sign_in(login, "Wrong-Guess-1").await.unwrap();
            assert_eq!((reply.status, reply.code()), (401, "wrong_credentials"));
        }
        let locked = server.sign_in(login, &person.password).await.unwrap();
        assert_eq!(
            (locked.status, locked.code()),
            (429, "account_locked"),
            "{login}"
        );
        assert!(locked.headers.contains_key("retry-after"));
    }
    server.clock.advance(14 * MINUTE);
    assert_eq!(
        server
            .sign_in(&person.login, &person.password)
            .await
            .unwrap()
            .code(),
        "account_locked"
    );
    server.clock.advance(2 * MINUTE);
    assert_eq!(
        server
            .sign_in(&person.login, &person.password)
            .await
            .unwrap()
            .status,
        200
    );
}

/// Neither what was tried nor the lock is a process's own to forget.
#[tokio::test]
async fn failures_and_the_lock_outlast_restarts() {
    let mut server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    for tried in 0..5 {
        if tried == 3 {
            server.restart().await.unwrap();
        }
        let wrong = server.sign_in(&person.login, "Wrong-Guess-1").await;
        let wrong = wrong.unwrap();
        assert_eq!(
            (wrong.status, wrong.code()),
            (401, "wrong_credentials"),
            "{tried}"
        );
    }
    for minutes in [0, 14] {
        server.clock.advance(minutes * MINUTE);
        server.restart().await.unwrap();
        let locked = server.sign_in(&person.login, &person.password).await;
        let locked = locked.unwrap();
        assert_eq!(
            (locked.status, locked.code()),
            (429, "account_locked"),
            "after {minutes} minutes"
        );
    }
    server.clock.advance(2 * MINUTE);
    server.restart().await.unwrap();
    let opened = server.sign_in(&person.login, &person.password).await;
    assert_eq!(opened.unwrap().status, 200);
}

#[tokio::test]
async fn guesses_made_at_once_do_not_outrun_the_lock() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let guesses = (0..40).map(|n| {
        let (server, login) = (&server, &person.login);
        async move {
            server
                .sign_in(login, &format!("Wrong-Guess-{n}"))
                .await
                .unwrap()
                .status
        }
    });
    let statuses = futures_util::future::join_all(guesses).await;
    assert_eq!(
        statuses.iter().filter(|status| **status == 401).count(),
        5,
        "{statuses:?}"
    );
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 35);
}

#[tokio::test]
async fn an_administrator_unlocks_and_one_address_can_not_spray() {
    let server = TestServer::open_city_with(|config| config.sign_in.failures_per_address = 12)
        .await
        .unwrap();
    let admin = server.person(Role::AreaAdministrator, CITY).await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    for _ in 0..5 {
        server
            .sign_in(&person.login, "Wrong-Guess-1")
            .await
            .unwrap();
    }
    let unlock = format!("/api/users/{}/unlock", person.id);
    assert_eq!(
        server
            .send("POST", &unlock, Some(&admin.token), None)
            .await
            .unwrap()
            .status,
        204
    );
    assert_eq!(
        server
            .sign_in(&person.login, &person.password)
            .await
            .unwrap()
            .status,
        200
    );

    let mut shut_out = 0;
    for n in 0..20 {
        let reply = server
            .sign_in(&format!("sprayed{n}"), "Spring-Is-Here-1")
            .await
            .unwrap();
        shut_out += usize::from(reply.code() == "too_many_tries");
    }
    assert!(shut_out >= 13, "{shut_out} of 20 tries were shut out");
    assert_eq!(
        server
            .sign_in(&person.login, &person.password)
            .await
            .unwrap()
            .code(),
        "too_many_tries"
    );
    server.clock.advance(16 * MINUTE);
    assert_eq!(
        server
            .sign_in(&person.login, &person.password)
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn an_address_is_what_the_proxy_says_and_a_site_is_one_source() {
    let server = TestServer::open_city_with(|config| {
        config.behind_proxy = true;
        config.sign_in.failures_per_address = 3;
    })
    .await
    .unwrap();
    let client = reqwest::Client::new();
    let url = format!("http://{}/api/auth/sign-in", server.address);
    // Each try with what its caller made up, in a line before the proxy's own (HAProxy) or in the same (nginx).
    let sources: [fn(u8) -> Vec<String>; 3] = [
        |n| vec![format!("203.0.113.{n}"), "192.0.2.7".to_owned()],
        |n| vec![format!("203.0.113.{n}, 192.0.2.8")],
        |n| vec![format!("2001:db8:0:1::{n:x}")],
    ];
    for (at, source) in sources.iter().enumerate() {
        let mut shut_out = 0;
        for n in 1..=6 {
            let input =
                json!({ "login": format!("sprayed{at}-{n}"), "password": "Spring-Is-Here-1" });
            let mut request = client.post(&url).json(&input);
            for line in source(n) {
                request = request.header("x-forwarded-for", line);
            }
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            shut_out += usize::from(answer["error"]["code"] == "too_many_tries");
        }
        assert_eq!(shut_out, 3, "source {at}");
    }
}

#[tokio::test]
async fn a_session_ends_when_idle_when_old_and_when_signed_out() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let me = async |token: &str| {
        server
            .send("GET", "/api/auth/me", Some(token), None)
            .await
            .unwrap()
    };
    let open = async || -> String {
        let body = server
            .sign_in(&person.login, &person.password)
            .await
            .unwrap()
            .body;
        body["token"].as_str().unwrap().to_owned()
    };
    let token = open().await;
    for _ in 0..4 {
        server.clock.advance(29 * MINUTE);
        assert_eq!(me(&token).await.status, 200, "use keeps it open");
    }
    server.clock.advance(31 * MINUTE);
    assert_eq!(me(&token).await.code(), "session_idle");

    let token = open().await;
    for _ in 0..29 {
        server.clock.advance(25 * MINUTE);
        me(&token).await;
    }
    assert_eq!(
        me(&token).await.code(),
        "session_ended",
        "twelve hours are the end in any case"
    );

    let token = open().await;
    assert_eq!(
        server
            .send("POST", "/api/auth/sign-out", Some(&token), None)
            .await
            .unwrap()
            .status,
        204
    );
    assert_eq!(me(&token).await.status, 401);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_and_no_token_is_stored() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let other = server
        .sign_in(&person.login, &person.password)
        .await
        .unwrap()
        .body["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let list = server
        .send("GET", "/api/auth/sessions", Some(&person.token), None)
        .await
        .unwrap()
        .body;
    let sessions = list.as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let id = sessions.iter().find(|s| s["current"] == false).unwrap()["id"]
        .as_str()
        .unwrap();
    let path = format!("/api/auth/sessions/{id}");
    assert_eq!(
        server
            .send("DELETE", &path, Some(&person.token), None)
            .await
            .unwrap()
            .status,
        204
    );
    assert_eq!(
        server
            .send("GET", "/api/auth/me", Some(&other), None)
            .await
            .unwrap()
            .status,
        401
    );
    let stranger = server.person(Role::Collector, VILLAGE).await.unwrap();
    assert_eq!(
        server
            .send("DELETE", &path, Some(&stranger.token), None)
            .await
            .unwrap()
            .status,
        404
    );
    let stored: Vec<Vec<u8>> = sqlx::query_scalar("SELECT token_hash FROM sessions")
        .fetch_all(&server.state.pool)
        .await
        .unwrap();
    assert!(
        stored
            .iter()
            .all(|hash| hash.len() == 32 && hash != other.as_bytes())
    );
}

#[tokio::test]
async fn an_enrolled_second_factor_is_required_and_a_code_is_good_once() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let token = Some(person.token.as_str());
    let begun = begin_second_factor(&server, &person).await;
    assert!(
        begun["uri"]
            .as_str()
            .unwrap()
            .starts_with("otpauth://totp/")
    );
    assert_eq!(
        server
            .sign_in(&person.login, &person.password)
            .await
            .unwrap()
            .status,
        200,
        "not in force yet"
    );
    let code = || {
        code_of_secret(
            begun["secret"].as_str().unwrap(),
            server.clock.now().timestamp(),
        )
        .unwrap()
    };
    let wrong = server
        .send(
            "POST",
            "/api/auth/second-factor/confirm",
            token,
            Some(json!({ "code": "000000" })),
        )
        .await
        .unwrap();
    assert_eq!(wrong.status, 422);
    let confirm = server
        .send(
            "POST",
            "/api/auth/second-factor/confirm",
            token,
            Some(json!({ "code": code() })),
        )
        .await
        .unwrap();
    assert_eq!(confirm.status, 204);

    assert_eq!(
        server
            .sign_in(&person.login, &person.password)
            .await
            .unwrap()
            .code(),
        "second_factor_required"
    );
    let with = async |code: String| -> Value {
        let input = json!({ "login": person.login, "password": person.password, "code": code });
        server
            .send("POST", "/api/auth/sign-in", None, Some(input))
            .await
            .unwrap()
            .body
    };
    assert_eq!(
        with(code()).await["error"]["code"],
        "wrong_code",
        "the code that confirmed is used up"
    );
    server.clock.advance(Duration::from_secs(30));
    let good = code();
    assert!(with(good.clone()).await["token"].is_string());
    assert_eq!(with(good).await["error"]["code"], "wrong_code", "used");
    for _ in 0..5 {
        with("000000".into()).await;
    }
    server.clock.advance(Duration::from_secs(30));
    assert_eq!(
        with(code()).await["error"]["code"],
        "account_locked",
        "codes are no more guessed than passwords"
    );
}

/// What a person is shown who begins to enrol a second factor.
async fn begin_second_factor(server: &TestServer, person: &Person) -> Value {
    let path = "/api/auth/second-factor";
    let body = Some(json!({ "password": person.password }));
    let sent = server.send("POST", path, Some(&person.token), body).await;
    sent.unwrap().body
}

/// Puts a second factor in force for a person; gives its secret.
async fn second_factor(server: &TestServer, person: &Person) -> String {
    let token = Some(person.token.as_str());
    let begun = begin_second_factor(server, person).await;
    let secret = begun["secret"].as_str().unwrap().to_owned();
    let code = code_of_secret(&secret, server.clock.now().timestamp()).unwrap();
    let confirm = server
        .send(
            "POST",
            "/api/auth/second-factor/confirm",
            token,
            Some(json!({ "code": code })),
        )
        .await
        .unwrap();
    assert_eq!(confirm.status, 204, "{}", confirm.body);
    secret
}

#[tokio::test]
async fn a_second_factor_is_begun_with_the_password_only() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let begin = async |body: Option<Value>| {
        server
            .send("POST", "/api/auth/second-factor", Some(&person.token), body)
            .await
            .unwrap()
    };
    assert_eq!(begin(Some(json!({}))).await.status, 400);
    let wrong = Some(json!({ "password": "Wrong-Guess-1" }));
    for _ in 0..5 {
        let reply = begin(wrong.clone()).await;
        let field = &reply.body["error"]["fields"][0];
        assert_eq!(
            (reply.status, &field["path"], &field["code"]),
            (422, &json!("password"), &json!("wrong_password"))
        );
    }
    let right = Some(json!({ "password": person.password }));
    assert_eq!(
        begin(right.clone()).await.code(),
        "account_locked",
        "it is guessed no more than at the door"
    );
    server.clock.advance(16 * MINUTE);
    assert_eq!(begin(right.clone()).await.status, 200);
    second_factor(&server, &person).await;
    let again = begin(right).await;
    assert_eq!((again.status, again.code()), (409, "already_enrolled"));
}

#[tokio::test]
async fn who_lost_the_codes_is_let_in_by_an_administrator_above() {
    let server = TestServer::open_city().await.unwrap();
    let admin = server.person(Role::AreaAdministrator, CITY).await.unwrap();
    let auditor = server.person(Role::Auditor, CITY).await.unwrap();
    let peer = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let security = server
        .person(Role::SecurityAdministrator, CITY)
        .await
        .unwrap();
    let person = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    second_factor(&server, &person).await;
    let path = format!("/api/users/{}", person.id);
    let of_user = format!("{path}/second-factor");
    let clear = async |by: &Person| {
        server
            .send("DELETE", &of_user, Some(&by.token), None)
            .await
            .unwrap()
    };
    assert_eq!(clear(&peer).await.code(), "forbidden");
    assert_eq!(
        clear(&security).await.code(),
        "outranked",
        "who could not make a supervisor"
    );
    let shown = server.get(&admin, &path).await.unwrap();
    assert_eq!(shown["second_factor"], true);
    assert_eq!(clear(&admin).await.status, 204);
    let shown = server.get(&admin, &path).await.unwrap();
    assert_eq!(shown["second_factor"], false);
    let ended = server
        .send("GET", "/api/auth/me", Some(&person.token), None)
        .await
        .unwrap();
    assert_eq!(ended.status, 401, "sessions are ended");
    let opened = server
        .sign_in(&person.login, &person.password)
        .await
        .unwrap();
    assert_eq!(opened.status, 200, "{}", opened.body);
    let again = clear(&admin).await;
    assert_eq!((again.status, again.code()), (409, "not_enrolled"));
    let log = "/api/audit?action=clear_second_factor&outcome=done";
    let log = server.get(&auditor, log).await.unwrap();
    let entry = &log["items"][0];
    assert_eq!(
        (&entry["user"], &entry["subject_id"]),
        (&json!(admin.id), &json!(person.id))
    );
}

#[tokio::test]
async fn asking_without_a_code_forgives_no_wrong_codes() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    second_factor(&server, &person).await;
    let guess = async || {
        let (login, password) = (&person.login, &person.password);
        let input = json!({ "login": login, "password": password, "code": "000000" });
        server
            .send("POST", "/api/auth/sign-in", None, Some(input))
            .await
            .unwrap()
    };
    let without = async || {
        server
            .sign_in(&person.login, &person.password)
            .await
            .unwrap()
    };
    for _ in 0..4 {
        assert_eq!(guess().await.code(), "wrong_code");
        assert_eq!(without().await.code(), "second_factor_required");
    }
    // Nor does changing the password, which proves no more.
    let same = json!({ "current": person.password, "new": person.password });
    let reply = server
        .send(
            "POST",
            "/api/auth/password",
            Some(&person.token),
            Some(same),
        )
        .await
        .unwrap();
    assert_eq!(reply.status, 422, "{}", reply.body);
    assert_eq!(guess().await.code(), "wrong_code");
    assert_eq!(without().await.code(), "account_locked");
}

#[tokio::test]
async fn why_names_the_grant() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Collector, VILLAGE).await.unwrap();
    let why = async |permission: &str, area: &str| {
        let path = format!("/api/auth/why?permission={permission}&area={area}");
        server
            .send("GET", &path, Some(&person.token), None)
            .await
            .unwrap()
            .body
    };
    let yes = why("register.write", VILLAGE).await;
    assert_eq!(
        (
            &yes["allowed"],
            &yes["grant"]["role"],
            &yes["grant"]["area"]
        ),
        (&json!(true), &json!("collector"), &json!(VILLAGE))
    );
    assert_eq!(why("register.write", CITY).await["allowed"], false);
    assert_eq!(why("conflicts.decide", VILLAGE).await["allowed"], false);
}
