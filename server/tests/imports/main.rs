//! A community's register comes in from a file: checked row by row, written in the background, the same file twice
//! without effect, taken up after a crash, taken back as a whole.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod broken;
mod erased;
mod files;
mod merged;

use std::path::Path;
use std::time::{Duration, Instant};

use doorstep_core::ids::RecordId;
use doorstep_core::rights::Role;
use doorstep_core::value::Value;
use doorstep_server::database::system_tx;
use doorstep_server::domains::imports;
use doorstep_server::testing::city::{DISTRICT, NEXT_VILLAGE, OTHER_VILLAGE, STREET, VILLAGE};
use doorstep_server::testing::phone::fields;
use doorstep_server::testing::{Person, Reply, TestServer};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

const HEADS: &str =
    "社区人员编号,姓名,证件种类,证件号码,性别,出生日期,手机号码,居住地址,居村委编码,人员类别";
const ROW: &str = "C1,王小二,居民身份证,11010519491231002X,女,1949-12-31,13800138000,陕西中路12弄28号1702室,310101002001,来沪";

fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/community");
    std::fs::read(folder.join(name)).unwrap()
}

async fn upload(
    server: &TestServer,
    person: &Person,
    query: &str,
    file: impl Into<Vec<u8>>,
) -> Reply {
    let url = format!("http://{}/api/imports?{query}", server.address);
    let request = reqwest::Client::new()
        .post(url)
        .bearer_auth(&person.token)
        .body(file.into());
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    Reply {
        status,
        headers,
        body,
    }
}

/// Waits until the import's step has ended.
async fn ended(server: &TestServer, person: &Person, id: &str) -> Json {
    for _ in 0..1_200 {
        let view = server
            .get(person, &format!("/api/imports/{id}"))
            .await
            .unwrap();
        let status = view["status"].as_str().unwrap();
        if !["checking", "running", "undoing"].contains(&status) {
            assert_eq!(view["failure"], Json::Null, "{view}");
            return view;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the import does not end");
}

async fn bring_in(
    server: &TestServer,
    person: &Person,
    kind: &str,
    area: &str,
    file: impl Into<Vec<u8>>,
) -> Json {
    let reply = upload(
        server,
        person,
        &format!("type={kind}&area={area}&then=run&name=x.csv"),
        file,
    )
    .await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let done = ended(server, person, reply.body["id"].as_str().unwrap()).await;
    assert_eq!(done["status"], "done", "{done}");
    done
}

async fn rows(server: &TestServer, person: &Person, import: &Json) -> Vec<Json> {
    let path = format!(
        "/api/imports/{}/rows?limit=500",
        import["id"].as_str().unwrap()
    );
    server.get(person, &path).await.unwrap()["items"]
        .as_array()
        .unwrap()
        .clone()
}

fn record(row: &Json) -> RecordId {
    RecordId(Uuid::parse_str(row["record"].as_str().unwrap()).unwrap())
}

async fn count(server: &TestServer, record_type: &str) -> i64 {
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM records WHERE record_type = $1 AND NOT cancelled")
        .bind(record_type)
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_whole_committee_comes_in_and_a_second_time_changes_nothing() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let begun = Instant::now();
    let houses = bring_in(&server, &supervisor, "house", VILLAGE, sample("houses.csv")).await;
    let for_houses = begun.elapsed();
    let residents = bring_in(
        &server,
        &supervisor,
        "resident",
        VILLAGE,
        sample("residents.csv"),
    )
    .await;
    eprintln!(
        "houses {for_houses:?}, residents {:?}: {} {}",
        begun.elapsed() - for_houses,
        houses["counts"],
        residents["counts"]
    );
    assert_eq!(
        (&houses["rows"], &residents["rows"]),
        (&json!(1_344), &json!(2_823))
    );
    assert_eq!(houses["counts"]["error"], 0);
    assert_eq!(residents["counts"]["error"], 0);
    assert_eq!(count(&server, "house").await, 1_344);
    assert_eq!(count(&server, "resident").await, 2_823);
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    let tied: i64 = sqlx::query_scalar("SELECT count(*) FROM links WHERE field = 'house'")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let changes: i64 = sqlx::query_scalar("SELECT count(*) FROM changes")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    drop(tx);
    assert!(
        tied > 2_500,
        "residences find their houses by place: {tied}"
    );
    let again = bring_in(&server, &supervisor, "house", VILLAGE, sample("houses.csv")).await;
    assert_eq!(
        again["same_as"], houses["id"],
        "the very same file is named"
    );
    let first_rows: Vec<u8> = sample("residents.csv")
        .split_inclusive(|byte| *byte == b'\n')
        .take(501)
        .flatten()
        .copied()
        .collect();
    let some = bring_in(&server, &supervisor, "resident", VILLAGE, first_rows).await;
    for import in [again, some] {
        assert_eq!(import["counts"]["unchanged"], import["rows"], "{import}");
        assert_eq!(import["counts"]["written"], 0);
    }
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    let after: i64 = sqlx::query_scalar("SELECT count(*) FROM changes")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(after, changes, "the same file changes nothing");
}

#[tokio::test]
async fn a_dry_run_says_what_each_row_comes_to_and_writes_nothing() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, STREET).await.unwrap();
    let file = format!(
        "{HEADS},=1+1\n{ROW}\nC2,,居民身份证,,女,明天,,,310101002001,来沪\nC3,李四,居民身份证,440524188001010015,男,,,厦门中路66弄1号1301室,310101002002,来沪\n\
         C4,张三,,,男,,,厦门中路66弄1号1302室,310104003001,来沪\nC5,赵五,,,男,,,厦门中路66弄1号1303室,310101002999,来沪\nC1,王小二,,,女,,,,310101002001,来沪\n"
    );
    let reply = upload(
        &server,
        &supervisor,
        &format!("type=resident&area={STREET}&then=check"),
        file,
    )
    .await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let checked = ended(&server, &supervisor, reply.body["id"].as_str().unwrap()).await;
    assert_eq!(checked["status"], "checked");
    assert_eq!(
        count(&server, "resident").await,
        0,
        "a dry run writes nothing"
    );
    let rows = rows(&server, &supervisor, &checked).await;
    let said: Vec<(i64, &str)> = rows
        .iter()
        .map(|row| {
            (
                row["row"].as_i64().unwrap(),
                row["verdict"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            (2, "new"),
            (3, "error"),
            (4, "new"),
            (5, "error"),
            (6, "error"),
            (7, "duplicate")
        ],
        "{rows:?}"
    );
    assert_eq!(
        checked["created_by_name"],
        format!("测试{}", supervisor.login)
    );
    let id = checked["id"].as_str().unwrap();
    let wrong = format!("/api/imports/{id}/result.csv?verdict=error");
    let wrong = server.get(&supervisor, &wrong).await.unwrap();
    let lines: Vec<&str> = wrong.as_str().unwrap().lines().collect();
    let numbers: Vec<&str> = lines[1..]
        .iter()
        .filter_map(|line| line.split(',').next())
        .collect();
    assert_eq!(numbers, ["3", "5", "6"], "the wrong rows only: {wrong}");
    let problem = |row: usize, code: &str| {
        let problems = rows[row]["problems"].as_array().unwrap();
        problems
            .iter()
            .find(|problem| problem["code"] == code)
            .cloned()
            .unwrap_or_else(|| panic!("{code}: {problems:?}"))
    };
    let missing = problem(1, "required");
    assert_eq!(
        (&missing["column"], &missing["head"], &missing["severity"]),
        (&json!(2), &json!("姓名"), &json!("error"))
    );
    assert_eq!(problem(1, "date")["column"], 6, "every wrong cell at once");
    assert_eq!(
        problem(2, "check_digit")["severity"],
        "warning",
        "a mistyped number is taken and pointed out"
    );
    problem(3, "outside_area");
    problem(4, "unknown_area");
    assert_eq!(rows[5]["duplicate_row"], 2);

    let path = format!("/api/imports/{}/run", checked["id"].as_str().unwrap());
    let reply = server
        .send("POST", &path, Some(&supervisor.token), None)
        .await
        .unwrap();
    assert_eq!(reply.status, 202, "{}", reply.body);
    let done = ended(&server, &supervisor, checked["id"].as_str().unwrap()).await;
    assert_eq!(
        (
            &done["counts"]["new"],
            &done["counts"]["error"],
            &done["counts"]["written"]
        ),
        (&json!(2), &json!(3), &json!(2))
    );
    assert_eq!(
        server
            .messages(supervisor.id, "import_done")
            .await
            .unwrap()
            .len(),
        1
    );
    let result = format!(
        "/api/imports/{}/result.csv",
        checked["id"].as_str().unwrap()
    );
    let file = server.get(&supervisor, &result).await.unwrap();
    let text = file.as_str().unwrap();
    let heads = text.lines().next().unwrap();
    assert!(heads.ends_with(",'=1+1"), "no head is a formula: {heads}");
    assert!(
        text.contains("第2列“姓名”") && text.contains("与第 2 行的编号相同"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 7);
}

#[tokio::test]
async fn a_changed_row_changes_its_fields_and_what_phones_wrote_since_stays() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let file = |phone: &str, at: &str, rest: &str| {
        format!(
            "{HEADS},备注,更新时间\n{},{rest},{at}\n",
            ROW.replace("13800138000", phone)
        )
    };
    let first = bring_in(
        &server,
        &supervisor,
        "resident",
        VILLAGE,
        file("13800138000", "20261101000000", ""),
    )
    .await;
    let resident = record(&rows(&server, &supervisor, &first).await[0]);
    let mut phone = server.phone(VILLAGE).await.unwrap();
    phone.pull(&server, resident).await.unwrap();
    let edit = phone
        .edit(resident, &fields(&[("phone", "13900139000")]))
        .unwrap();
    phone.send(&server, vec![edit]).await.unwrap();

    let same = bring_in(
        &server,
        &supervisor,
        "resident",
        VILLAGE,
        file("13800138000", "20261101000000", ""),
    )
    .await;
    assert_eq!(same["counts"]["unchanged"], 1, "{same}");
    assert_eq!(
        server.value_of(resident, "phone").await.unwrap(),
        Some("13900139000".into()),
        "the collector's number stays"
    );

    let newer = bring_in(
        &server,
        &supervisor,
        "resident",
        VILLAGE,
        file("13700137000", "20261120000000", "常年在外"),
    )
    .await;
    assert_eq!(newer["counts"]["changed"], 1, "{newer}");
    let changed = &rows(&server, &supervisor, &newer).await[0]["changed"];
    assert!(
        changed.to_string().contains("手机") && changed.to_string().contains("备注"),
        "{changed}"
    );
    assert_eq!(
        server.value_of(resident, "phone").await.unwrap(),
        Some("13700137000".into())
    );

    let older = bring_in(
        &server,
        &supervisor,
        "resident",
        VILLAGE,
        file("13600136000", "20261110000000", ""),
    )
    .await;
    assert_eq!(
        rows(&server, &supervisor, &older).await[0]["problems"][0]["code"],
        "older_than_register"
    );
    assert_eq!(
        server.value_of(resident, "phone").await.unwrap(),
        Some("13700137000".into())
    );

    // Taken back: the newer file's values go, and only those.
    let path = format!("/api/imports/{}/undo", newer["id"].as_str().unwrap());
    assert_eq!(
        server
            .send("POST", &path, Some(&supervisor.token), None)
            .await
            .unwrap()
            .status,
        202
    );
    let undone = ended(&server, &supervisor, newer["id"].as_str().unwrap()).await;
    assert_eq!(
        (&undone["status"], &undone["counts"]["undone"]),
        (&json!("undone"), &json!(1))
    );
    assert_eq!(
        server.value_of(resident, "phone").await.unwrap(),
        Some("13900139000".into())
    );
    assert_eq!(
        server.value_of(resident, "remark").await.unwrap(),
        Some(Value::Null)
    );
}

#[tokio::test]
async fn an_import_is_taken_back_but_for_what_was_edited_since() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let file = format!("{HEADS}\n{ROW}\nC3,李四,,,男,,,厦门中路66弄1号1301室,310101002001,来沪\n");
    let done = bring_in(&server, &supervisor, "resident", VILLAGE, file.clone()).await;
    let made = rows(&server, &supervisor, &done).await;
    let (first, second) = (record(&made[0]), record(&made[1]));
    let mut phone = server.phone(VILLAGE).await.unwrap();
    phone.pull(&server, second).await.unwrap();
    let edit = phone
        .edit(second, &fields(&[("phone", "13900139000")]))
        .unwrap();
    phone.send(&server, vec![edit]).await.unwrap();
    let path = format!("/api/imports/{}/undo", done["id"].as_str().unwrap());
    server
        .send("POST", &path, Some(&supervisor.token), None)
        .await
        .unwrap();
    let undone = ended(&server, &supervisor, done["id"].as_str().unwrap()).await;
    assert_eq!(
        (&undone["counts"]["undone"], &undone["counts"]["kept"]),
        (&json!(1), &json!(1)),
        "{undone}"
    );
    assert_eq!(
        server.value_of(first, "status").await.unwrap(),
        Some("cancelled".into())
    );
    assert_eq!(server.value_of(second, "status").await.unwrap(), None);
    // Brought in again, the one taken back is made anew.
    let again = bring_in(&server, &supervisor, "resident", VILLAGE, file).await;
    assert_eq!(
        (&again["counts"]["new"], &again["counts"]["unchanged"]),
        (&json!(1), &json!(1)),
        "{again}"
    );
}

#[tokio::test]
async fn a_file_changes_no_residence_that_another_village_registered() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let street = server.person(Role::Supervisor, STREET).await.unwrap();
    let first = bring_in(
        &server,
        &supervisor,
        "resident",
        VILLAGE,
        format!("{HEADS}\n{ROW}\n"),
    )
    .await;
    let resident = record(&rows(&server, &supervisor, &first).await[0]);
    let elsewhere = json!({
        "area": NEXT_VILLAGE,
        "fields": { "resident": resident.0, "kind": "living", "address": "厦门中路66弄1号1301室" },
    });
    let reply = server
        .send(
            "POST",
            "/api/residences",
            Some(&street.token),
            Some(elsewhere),
        )
        .await
        .unwrap();
    assert_eq!(reply.status, 201, "{}", reply.body);
    let residence: Uuid = reply.body["record"]["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let residences = count(&server, "residence").await;
    let file = "姓名,证件种类,证件号码,性别,出生日期,手机号码,居住地址,居村委编码,人员类别,搬离日期\n\
        王小二,居民身份证,11010519491231002X,女,1949-12-31,13800138000,厦门中路66弄1号1301室,310101002001,来沪,2026-11-23\n";
    let again = bring_in(&server, &supervisor, "resident", VILLAGE, file).await;
    let row = rows(&server, &supervisor, &again).await[0].clone();
    assert_eq!(row["verdict"], "unchanged", "{row}");
    assert!(
        row["problems"].to_string().contains("residence_elsewhere"),
        "{row}"
    );
    let until = server.value_of(RecordId(residence), "until").await.unwrap();
    assert_eq!(until, None, "the other village is asked by nobody");
    assert_eq!(count(&server, "residence").await, residences);

    // The street's own file may.
    let file = file.replace("310101002001", NEXT_VILLAGE);
    let done = bring_in(&server, &street, "resident", STREET, file).await;
    assert_eq!(done["counts"]["changed"], 1, "{done}");
    assert_eq!(
        server.value_of(RecordId(residence), "until").await.unwrap(),
        Some("2026-11-23".into())
    );
}

#[tokio::test]
async fn duplicates_are_found_by_number_and_by_likeness() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let (known, item) = phone.resident("王小二", "11010519491231002X").unwrap();
    let (other, item2) = phone.resident("张三", "440524188001010014").unwrap();
    let mut values = fields(&[
        ("name", "刘小"),
        ("sex", "1"),
        ("population_kind", "02"),
        ("birth_date", "2025-01-02"),
    ]);
    values.insert(
        "register_address".to_owned(),
        "厦门中路66弄1号1305室".into(),
    );
    let (child, item3) = phone.create("resident", &values).unwrap();
    phone.send(&server, vec![item, item2, item3]).await.unwrap();
    // The phone's person under the same name; the same number under another name; a child without a number, same place;
    // a passport twice in the file.
    let file = format!(
        "{HEADS},护照号码,国籍,户籍地址\n{ROW},,,\nC2,李四,居民身份证,440524188001010014,男,,,厦门中路66弄1号1301室,310101002001,来沪,,,\n\
         C3,刘小,,,男,2025-01-02,,厦门中路66弄1号1305室,310101002001,来沪,,,\nC4,约翰,,,男,1980-01-01,,厦门中路66弄1号1306室,310101002001,境外,E12345678,,\n\
         C5,约翰逊,,,男,1980-01-01,,厦门中路66弄1号1307室,310101002001,境外,E12345678,,\n"
    );
    let done = bring_in(&server, &supervisor, "resident", VILLAGE, file).await;
    let rows = rows(&server, &supervisor, &done).await;
    let verdict = |row: usize| rows[row]["verdict"].as_str().unwrap();
    assert_eq!(
        [verdict(0), verdict(1), verdict(2), verdict(3), verdict(4)],
        ["changed", "duplicate", "changed", "new", "duplicate"],
        "{rows:?}"
    );
    assert_eq!(record(&rows[0]), known);
    assert_eq!(
        server.value_of(known, "community_id").await.unwrap(),
        Some("C1".into())
    );
    assert_eq!(rows[1]["duplicate_of"], json!(other.0));
    assert_eq!(record(&rows[2]), child);
    assert_eq!(rows[4]["duplicate_row"], 5);
    let list = server
        .get(&supervisor, "/api/conflicts?kind=duplicate_person")
        .await
        .unwrap();
    let pairs: Vec<(&Json, &Json)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (&item["record"], &item["kind"]))
        .collect();
    assert_eq!(pairs.len(), 2, "one item for each likely pair: {list}");
    for item in list["items"].as_array().unwrap() {
        let detail = server
            .get(
                &supervisor,
                &format!("/api/conflicts/{}", item["id"].as_str().unwrap()),
            )
            .await
            .unwrap();
        assert!(
            detail["other_now"].is_object() && detail["record_now"].is_object(),
            "{detail}"
        );
    }
    // Left out when told so.
    let file = format!(
        "{HEADS}\nC9,李四,居民身份证,440524188001010014,男,,,厦门中路66弄1号1301室,310101002001,来沪\n"
    );
    let reply = upload(
        &server,
        &supervisor,
        &format!("type=resident&area={VILLAGE}&then=run&duplicates=skip"),
        file,
    )
    .await;
    let done = ended(&server, &supervisor, reply.body["id"].as_str().unwrap()).await;
    assert_eq!(
        (&done["counts"]["duplicate"], &done["counts"]["written"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn only_who_imports_in_an_area_brings_in_and_sees_its_files() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let file = format!("{HEADS}\n{ROW}\n");
    for area in [NEXT_VILLAGE, OTHER_VILLAGE, DISTRICT] {
        let reply = upload(
            &server,
            &supervisor,
            &format!("type=resident&area={area}&then=run"),
            file.clone(),
        )
        .await;
        assert_eq!((reply.status, reply.code()), (403, "forbidden"), "{area}");
    }
    // Refused before the file comes: none of its bytes is waited for.
    let mut line = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let head = format!(
        "POST /api/imports?type=resident&area={NEXT_VILLAGE} HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {}\r\nContent-Length: 30000000\r\n\r\n",
        supervisor.token
    );
    line.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    let answered = line.read_exact(&mut first);
    tokio::time::timeout(Duration::from_secs(10), answered)
        .await
        .expect("an answer without the file")
        .unwrap();
    assert_eq!(&first, b"HTTP/1.1 403");
    let collector = server.person(Role::Collector, VILLAGE).await.unwrap();
    let reply = upload(
        &server,
        &collector,
        &format!("type=resident&area={VILLAGE}"),
        file.clone(),
    )
    .await;
    assert_eq!(reply.status, 403);
    let mine = upload(
        &server,
        &supervisor,
        &format!("type=resident&area={VILLAGE}"),
        file.clone(),
    )
    .await;
    let stranger = server.person(Role::Supervisor, NEXT_VILLAGE).await.unwrap();
    for path in ["", "/rows", "/result.csv"] {
        let path = format!("/api/imports/{}{path}", mine.body["id"].as_str().unwrap());
        assert_eq!(
            server
                .send("GET", &path, Some(&stranger.token), None)
                .await
                .unwrap()
                .status,
            404,
            "{path}"
        );
    }
    assert!(
        server.get(&stranger, "/api/imports").await.unwrap()["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    // In clear to who exports, for a purpose: not to who only brings files in.
    let administrator = server
        .person(Role::AreaAdministrator, VILLAGE)
        .await
        .unwrap();
    let colleague = server.person(Role::Supervisor, STREET).await.unwrap();
    let path = format!(
        "/api/imports/{}/result.csv",
        mine.body["id"].as_str().unwrap()
    );
    let why = format!("{path}?purpose=correction");
    for (who, path, status, code) in [
        (&administrator, &path, 403, "forbidden"),
        (&administrator, &why, 403, "forbidden"),
        (&colleague, &path, 403, "purpose_required"),
        (&colleague, &why, 200, ""),
        (&supervisor, &path, 200, ""),
    ] {
        let reply = server.send("GET", path, Some(&who.token), None).await;
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.code()), (status, code), "{path}");
        let shown = reply.body.to_string().contains("11010519491231002X");
        assert_eq!(shown, status == 200);
    }
    let auditor = server.administrator(Role::Auditor).unwrap();
    let log = "/api/audit?action=export_import_result";
    let log = server.get(auditor, log).await.unwrap();
    let taken: Vec<&Json> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["outcome"] == "done")
        .map(|entry| &entry["detail"])
        .collect();
    assert_eq!(
        taken,
        [
            &json!({ "rows": 1 }),
            &json!({ "rows": 1, "purpose": "correction" })
        ],
        "the latest first"
    );
    // Nothing of the file stands in clear.
    let mut tx = system_tx(&server.state.pool).await.unwrap();
    let kept: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT body FROM import_rows UNION ALL SELECT meta FROM imports")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    assert!(
        kept.len() == 2
            && kept
                .iter()
                .all(|bytes| !bytes.windows(9).any(|part| part == "王小二".as_bytes()))
    );
    let bad = upload(
        &server,
        &supervisor,
        &format!("type=visit&area={VILLAGE}"),
        file,
    )
    .await;
    assert_eq!(bad.body["error"]["fields"][0]["code"], "unknown_type");
}
