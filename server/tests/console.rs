//! The console's side of the server: its stream of notices, its files, its headers, its description.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use doorstep_core::ids::UserId;
use doorstep_core::rights::Role;
use doorstep_server::testing::city::{DISTRICT, OTHER_VILLAGE, VILLAGE};
use doorstep_server::testing::{Person, TestServer};

/// The stream of one person, read as text.
struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(server: &TestServer, person: &Person) -> Self {
        let url = format!("http://{}/api/live", server.address);
        let request = reqwest::Client::new().get(url).bearer_auth(&person.token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self {
            response,
            text: String::new(),
        };
        stream.until("event: ready").await;
        stream
    }

    /// Reads until the words came.
    async fn until(&mut self, words: &str) {
        while !self.text.contains(words) {
            let more = tokio::time::timeout(Duration::from_secs(20), self.response.chunk());
            let chunk = more.await.expect(words).unwrap().expect("the stream ended");
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}

#[tokio::test]
async fn a_supervisor_hears_of_the_own_areas_queue_and_of_no_other() {
    let server = TestServer::open_city().await.unwrap();
    let own = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let above = server.person(Role::Supervisor, DISTRICT).await.unwrap();
    let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
    let mut streams = [
        Stream::open(&server, &own).await,
        Stream::open(&server, &above).await,
        Stream::open(&server, &collector).await,
    ];
    server.dispute(OTHER_VILLAGE).await.unwrap();
    server.dispute(VILLAGE).await.unwrap();
    for stream in &mut streams[..2] {
        stream.until("event: conflicts").await;
        stream.until(VILLAGE).await;
        assert!(!stream.text.contains(OTHER_VILLAGE), "{}", stream.text);
    }
    // Rights are told to everyone; the collector's next words are those, and nothing of the queue came before.
    server
        .state
        .live
        .tell(doorstep_server::live::Notice::AreasChanged);
    streams[2].until("event: areas").await;
    assert!(
        !streams[2].text.contains("conflicts"),
        "{}",
        streams[2].text
    );
}

#[tokio::test]
async fn a_decision_is_heard_by_the_other_supervisor() {
    let server = TestServer::open_city().await.unwrap();
    let (conflict, ..) = server.dispute(VILLAGE).await.unwrap();
    let one = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let other = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let mut stream = Stream::open(&server, &other).await;
    let path = format!("/api/conflicts/{conflict}/decision");
    let body = serde_json::json!({ "action": "take", "choice": 0 });
    let reply = server
        .send("POST", &path, Some(&one.token), Some(body))
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    stream.until("event: conflicts").await;
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_stream_with_a_word() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let mut stream = Stream::open(&server, &person).await;
    let reply = server
        .send("POST", "/api/auth/sign-out", Some(&person.token), None)
        .await
        .unwrap();
    assert_eq!(reply.status, 204);
    server
        .state
        .live
        .tell(doorstep_server::live::Notice::RightsChanged(UserId(
            person.id,
        )));
    stream.until("session_ended").await;
}

#[tokio::test]
async fn a_stream_is_no_use_of_the_session() {
    let server = TestServer::open_city().await.unwrap();
    let person = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let mut stream = Stream::open(&server, &person).await;
    let notice = doorstep_server::live::Notice::RightsChanged(UserId(person.id));
    for _ in 0..2 {
        server.clock.advance(Duration::from_secs(20 * 60));
        server.state.live.tell(notice);
    }
    stream.until("session_idle").await;
}

#[tokio::test]
async fn an_address_of_the_console_is_no_route_of_the_api() {
    let server = TestServer::start().await.unwrap();
    let page = server.send("GET", "/conflicts", None, None).await.unwrap();
    // Built or not, it is the console's: the page, or words that say how to build it.
    assert!(matches!(page.status, 200 | 503), "{}", page.status);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"));
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert_eq!(page.headers["cross-origin-opener-policy"], "same-origin");
    for path in ["/api/nowhere", "/assets/gone.js", "/health/none"] {
        let reply = server.send("GET", path, None, None).await.unwrap();
        assert_eq!((reply.status, reply.code()), (404, "not_found"), "{path}");
    }
    let posted = server.send("POST", "/conflicts", None, None).await.unwrap();
    assert_eq!(posted.status, 404);
}
