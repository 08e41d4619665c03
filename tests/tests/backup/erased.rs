//! A person with all that the register can hold of one is erased after the oldest backup. Restored with the newest keys,
//! that backup shows nothing of the person, whatever is asked.

use doorstep_client::Device;
use doorstep_core::ids::RecordId;
use doorstep_core::rights::Role;
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::value::{Fields, Value as Field};
use doorstep_tests::town::camera::picture;
use doorstep_tests::town::office::database_of;
use doorstep_tests::town::{Api, Office, Server, phone, routes};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::photos::at;
use super::{backup, person, program, restore};

const NAME: &str = "鸞鳳和鳴";
const NUMBER: &str = "310104196305178469";
const PHONE: &str = "13817264593";
/// Where the person lives.
const ADDRESS: &str = "鶺鴒鸛鵲弄7号";
/// What a visit's note says.
const NOTE: &str = "龜蛇銜珠";
/// What was refused.
const REFUSED: &str = "鸚鵡學舌";
/// All of them stand nowhere else.
const CANARIES: [&str; 6] = [NAME, NUMBER, PHONE, ADDRESS, NOTE, REFUSED];

const SEE_ALL: &str = "SELECT set_config('doorstep.areas', '%', false)";
const TABLES: &str = "SELECT relname::text FROM pg_class \
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname";

/// What there is of the person, by the addresses that tell of it.
struct Traces {
    person: RecordId,
    residence: RecordId,
    photo: String,
    /// Two names that two phones wrote.
    dispute: String,
    refused: String,
    import: String,
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Field::from(*value)))
        .collect()
}

/// A file brings the person in; gives the import's address and the record.
async fn bring_in(office: &Office) -> (String, RecordId) {
    let file = format!(
        "姓名,性别,人员类别,证件类型,证件号码,手机号码\n{NAME},女,户籍人口,居民身份证,{NUMBER},{PHONE}\n"
    );
    let supervisor = &office.supervisor;
    let brought = supervisor.upload("resident", office.area, "sample.csv", file.into_bytes());
    let (import, _) = brought.await.unwrap();
    let done = import.run().await.unwrap();
    assert_eq!(done["counts"]["written"], 1, "{done}");
    let rows = format!("{}/rows", import.path);
    let rows = supervisor.api.get(&rows).await.unwrap();
    let record = rows["items"][0]["record"].as_str().unwrap();
    (import.path, record.parse().unwrap())
}

impl Traces {
    /// Leaves them, by two phones of the village.
    async fn leave(
        office: &Office,
        import: String,
        person: RecordId,
        [one, two]: [&Device<MemoryStore>; 2],
    ) -> Self {
        for phone in [one, two] {
            phone.sync_once().await.unwrap();
        }
        let photo = one
            .add_photo(person, "portrait", &picture(7).unwrap())
            .unwrap();
        let told = person.to_string();
        let home = fields(&[
            ("resident", &told),
            ("kind", "living"),
            ("address", ADDRESS),
        ]);
        let residence = one.create("residence", office.area, home).unwrap();
        let mut visit = fields(&[
            ("mode", "01"),
            ("purpose", "01"),
            ("result", "01"),
            ("note", NOTE),
            ("resident", &told),
        ]);
        visit.insert("at".to_owned(), Field::Int(one.now().0));
        one.record_event("visit", office.area, visit).unwrap();
        for (phone, ending) in [(one, "甲"), (two, "乙")] {
            let name = format!("{NAME}{ending}");
            phone.update(person, &fields(&[("name", &name)])).unwrap();
            phone.sync_once().await.unwrap();
        }
        let forbidden = fields(&[("police_person_id", REFUSED)]);
        one.update(person, &forbidden).unwrap();
        let report = one.sync_once().await.unwrap();
        assert_eq!(report.refused, 1, "{report:?}");
        let queue = format!("{}?record={person}", routes::CONFLICTS);
        let queue = office.supervisor.api.get(&queue).await.unwrap();
        let of_kind = |kind: &str| {
            let items = queue["items"].as_array().unwrap();
            let found = items.iter().find(|item| item["kind"] == kind);
            let found = found.unwrap_or_else(|| panic!("{kind}: {queue}"));
            found["id"].as_str().unwrap().to_owned()
        };
        Self {
            dispute: of_kind("field"),
            refused: of_kind("refused_change"),
            person,
            residence,
            photo,
            import,
        }
    }

    /// What is asked, and where in the answer something stands as long as the person is there.
    fn questions(&self) -> Vec<(String, &'static str)> {
        let Self {
            person,
            residence,
            photo,
            dispute,
            refused,
            import,
        } = self;
        let (records, photos) = (routes::RECORDS, routes::PHOTOS);
        let (queue, why) = (routes::CONFLICTS, "purpose=verification");
        vec![
            (format!("/api/residents/{person}"), "/resident/id"),
            (format!("{records}/{person}"), "/id"),
            (format!("{records}/{person}/history?{why}"), "/changes/0"),
            (format!("{records}/{person}/photos"), "/0"),
            (format!("{records}/{residence}"), "/id"),
            (format!("{records}/{residence}/history?{why}"), "/changes/0"),
            (format!("{photos}/{photo}?{why}"), ""),
            (format!("{photos}/{photo}/thumbnail?{why}"), ""),
            (format!("/api/visits?record={person}"), "/items/0"),
            (format!("{queue}?record={person}"), "/items/0"),
            (format!("{queue}/{dispute}?{why}"), "/values/0"),
            (format!("{queue}/{refused}?{why}"), "/refused/0"),
            (format!("{import}/rows"), "/items/0"),
            (format!("/api/residents?text={NAME}"), "/items/0"),
            (format!("/api/residents?text={NUMBER}"), "/items/0"),
            (format!("/api/residents?text={PHONE}"), "/items/0"),
        ]
    }

    /// Which questions are answered with something of the person, and which of the canaries stand in any answer.
    async fn shown(&self, api: &Api) -> (Vec<String>, Vec<&'static str>) {
        let (mut answered, mut said) = (Vec::new(), String::new());
        for (path, place) in self.questions() {
            let asked = api.ask(Method::GET, &path, |request| request).await;
            let (status, text) = asked.unwrap();
            // A photo is no JSON, and is there or not.
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            if status == 200 && answer.pointer(place).is_some() {
                answered.push(path);
            }
            said.push_str(&text);
        }
        let file = format!("{}/result.csv?purpose=verification", self.import);
        let file = String::from_utf8(api.get_bytes(&file).await.unwrap()).unwrap();
        if file.contains(NAME) {
            answered.push(self.import.clone());
        }
        said.push_str(&file);
        let found = CANARIES.into_iter().filter(|canary| said.contains(canary));
        (answered, found.collect())
    }
}

/// The tables in which a text stands, as itself or as bytes.
async fn tables_with(server: &Server, text: &str) -> Vec<String> {
    let mut database = database_of(server).await.unwrap();
    let seen = sqlx::query(SEE_ALL).execute(&mut database).await;
    seen.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(TABLES)
        .fetch_all(&mut database)
        .await
        .unwrap();
    let mut found = Vec::new();
    for table in tables {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM {table} t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0)"
        );
        let there: bool = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(text)
            .bind(hex::encode(text))
            .fetch_one(&mut database)
            .await
            .unwrap();
        if there {
            found.push(table);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_backup_shows_nothing_of_who_was_erased_since() {
    let mut office = Office::open(&program()).await.unwrap();
    let url = office.server.url();
    let area = office.area.to_string();
    let giver = &office.administrators.areas;
    let colleague = giver.appoint("colleague", "王强", Role::Collector, &area);
    let colleague = colleague.await.unwrap();
    let places = [office.place(), office.place()];
    let one = phone::light(&url, &office.collector, &places[0]);
    let two = phone::light(&url, &colleague, &places[1]);
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    let (import, erased) = bring_in(&office).await;
    let traces = Traces::leave(&office, import, erased, [&one, &two]).await;
    let other = one.create("resident", office.area, person(1)).unwrap();
    one.sync_once().await.unwrap();

    // All of it is there to be read, or the rest would show nothing.
    let (answered, said) = traces.shown(&office.supervisor.api).await;
    let asked = traces.questions().into_iter().map(|(path, _)| path);
    let asked: Vec<String> = asked.chain([traces.import.clone()]).collect();
    assert_eq!(answered, asked);
    assert_eq!(said, CANARIES);
    let (oldest, newest, keys) = (office.place(), office.place(), office.place());
    backup(&office.server, &oldest, &keys);

    let erase = json!({ "ground": "request", "confirm": erased.0 });
    let path = format!("{}/{erased}/erase", routes::RECORDS);
    let administrator = &office.administrators.areas.api;
    administrator.post(&path, &erase).await.unwrap();
    backup(&office.server, &newest, &keys);
    let (mut server, said) = restore(&mut office, &oldest, &keys);
    // With the residence.
    assert_eq!(said["restored"]["erased_again"], 2, "{said}");
    assert_eq!(said["restored"]["unlisted"], 0, "{said}");
    server.start().await.unwrap();
    let supervisor = at(&server, &office.supervisor).await;
    let (answered, said) = traces.shown(&supervisor).await;
    assert_eq!((answered, said), (Vec::new(), Vec::new()));
    for canary in CANARIES {
        assert_eq!(tables_with(&server, canary).await, Vec::<String>::new());
    }
    // The search finds what stands there, and who was not erased is there.
    let found = tables_with(&server, &erased.to_string()).await;
    assert!(found.contains(&"records".to_owned()), "{found:?}");
    let path = format!("{}/{other}", routes::RECORDS);
    supervisor.get(&path).await.unwrap();
    server.stop().unwrap();
}
