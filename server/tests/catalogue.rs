//! What PostgreSQL's catalogue says of the tables, held against what a table must be ready for: the wall between areas, a
//! record that is erased, two records that become one. A new domain's table is found by itself; what need not be ready
//! stands in a list, with its reason. Knows no id within a text (`states.key`) or a sealed body.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;

use doorstep_core::rights::Role;
use doorstep_server::database::testing::TestDatabase;
use doorstep_server::testing::TestServer;
use doorstep_server::testing::city::{STREET, VILLAGE};
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use uuid::Uuid;

/// The table of a new domain whose maker thought of none of this: each test must find it.
const PARCELS: &str = "CREATE TABLE parcels (id uuid PRIMARY KEY, area_code area_code NOT NULL, record_id uuid NOT NULL)";

/// Tables that name an area and stand behind no wall.
const OPEN: [(&str, &str); 8] = [
    ("area_changes", "the tree of areas is everyone's"),
    ("area_keys", "of no use without the root key"),
    ("areas", "the tree of areas is everyone's"),
    ("parcels", "the test's own"),
    (
        "record_tokens",
        "behind the wall no index would serve: its ids are looked up in records, which is behind it",
    ),
    (
        "scope_log",
        "a session reads the scopes that its device may follow, and no others",
    ),
    (
        "scopes",
        "a session reads the scopes that its device may follow, and no others",
    ),
    (
        "states",
        "a session reads the scopes that its device may follow, and no others",
    ),
];

/// Columns that still name a record when it was erased.
const LEFT: [(&str, &str); 18] = [
    (
        "address_changes.from_house",
        "a house; the resident's rows go",
    ),
    (
        "address_changes.from_residence",
        "it is erased with its resident, whose rows go",
    ),
    (
        "address_changes.to_house",
        "a house; the resident's rows go",
    ),
    (
        "address_changes.to_residence",
        "it is erased with its resident, whose rows go",
    ),
    (
        "alarms.record_id",
        "an alarm is about a device; of the record it has the id",
    ),
    (
        "audit_entries.subject_id",
        "nothing is taken out of the audit log; it has ids only",
    ),
    (
        "checks.other",
        "the question is about another person; of this one it has the id",
    ),
    (
        "checks.residence",
        "the check ends; of the record it has the id",
    ),
    (
        "checks.resident",
        "the check ends; of the record it has the id",
    ),
    (
        "conflicts.other_id",
        "the item is emptied, and says that one about this id was decided",
    ),
    (
        "conflicts.record_id",
        "the item is emptied, and says that one about this id was decided",
    ),
    (
        "conflicts.subject",
        "a residence: the item is its resident's, and is emptied with them",
    ),
    (
        "links.target",
        "what points at a person is a residence, and erased with the person",
    ),
    ("parcels.record_id", "the test's own"),
    (
        "population_changes.residence",
        "an area is counted by the row, which has ids only",
    ),
    (
        "population_changes.resident",
        "an area is counted by the row, which has ids only",
    ),
    (
        "relation_reviews.resident",
        "the next round of the job takes it",
    ),
    (
        "scope_log.record_id",
        "a log has no gaps, and tells phones that the record is erased",
    ),
];

/// What becomes of each column that names a record, when the record is merged into another.
const MERGED: [(&str, &str); 32] = [
    ("address_changes.from_house", "houses are not merged"),
    (
        "address_changes.from_residence",
        "residences are not merged",
    ),
    (
        "address_changes.resident",
        "the ledger says of which file it was",
    ),
    ("address_changes.to_house", "houses are not merged"),
    ("address_changes.to_residence", "residences are not merged"),
    ("alarms.record_id", "says what a device did to which record"),
    (
        "audit_entries.subject_id",
        "nothing is changed in the audit log",
    ),
    (
        "changes.record_id",
        "each record keeps its history; the survivor's shows both (domains/registry/history.rs)",
    ),
    (
        "checks.other",
        "who changed then: the alias leads to the survivor",
    ),
    ("checks.residence", "residences are not merged"),
    (
        "checks.resident",
        "moved, where the check is open (checks::service::follow)",
    ),
    (
        "conflicts.other_id",
        "an open item of the pair ends (domains/conflicts/persons.rs); a third record's is decided by itself",
    ),
    (
        "conflicts.record_id",
        "open items of values and claims end (domains/conflicts/persons.rs)",
    ),
    ("conflicts.subject", "a residence, which is not merged"),
    (
        "event_subjects.subject",
        "a file shows the visits of what was merged into it (domains/registry/sql/visits.sql)",
    ),
    ("events.subjects", "an event is never changed"),
    (
        "field_changes.record_id",
        "the ledger says of which file it was",
    ),
    (
        "import_rows.duplicate_of",
        "says what the row was like then",
    ),
    (
        "import_rows.record_id",
        "says what the row made; taken back, it is compared with that record",
    ),
    ("links.record_id", "said by the record's own values"),
    (
        "links.target",
        "the residences are tied to the survivor (domains/conflicts/persons.rs), and the links follow",
    ),
    ("parcels.record_id", "the test's own"),
    (
        "photo_uploads.record_id",
        "a photo belongs to the record whose key seals it",
    ),
    (
        "photos.record_id",
        "a photo belongs to the record whose key seals it; it is found by its digest",
    ),
    ("population_changes.residence", "residences are not merged"),
    (
        "population_changes.resident",
        "the alias ceases to count by a row of its own",
    ),
    (
        "record_tokens.record_id",
        "said by the record's own values; searches leave aliases out",
    ),
    ("records.merged_into", "this is the merging"),
    ("refused_items.record_id", "stays with its item"),
    (
        "refused_items.subjects",
        "erasing goes over all records of a person",
    ),
    (
        "relation_reviews.resident",
        "the next round of the job takes it",
    ),
    (
        "scope_log.record_id",
        "a log is never changed; phones are told by it that the alias leaves",
    ),
];

const COLUMNS: &str = "SELECT c.relname::text AS \"table\", a.attname::text AS name, \
    format_type(a.atttypid, a.atttypmod) AS kind, a.attidentity <> '' AS identity, \
    (SELECT confrelid::regclass::text FROM pg_constraint \
        WHERE contype = 'f' AND conrelid = c.oid AND conkey = ARRAY[a.attnum] LIMIT 1) AS refers \
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 \
    AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY c.relname, a.attnum";

/// Tables that show a row, to their owner too, only within the transaction's areas.
const WALLED: &str = "SELECT relname::text FROM pg_class AS held WHERE relrowsecurity AND relforcerowsecurity \
    AND EXISTS (SELECT FROM pg_policies WHERE tablename = relname AND cmd IN ('ALL', 'SELECT')) \
    AND NOT EXISTS (SELECT FROM pg_policies WHERE tablename = relname AND cmd IN ('ALL', 'SELECT') \
        AND qual NOT LIKE '%area_patterns()%')";

/// Ids that are not a record's, by the names of their columns. Who did something ends in `_by`.
const NO_RECORDS: [&str; 9] = [
    "answer",
    "assignee",
    "device_id",
    "event_id",
    "id",
    "import_id",
    "owner",
    "request_id",
    "user_id",
];

#[derive(Debug, sqlx::FromRow)]
struct Column {
    table: String,
    name: String,
    kind: String,
    identity: bool,
    /// The table whose key it is.
    refers: Option<String>,
}

impl Column {
    fn full(&self) -> String {
        format!("{}.{}", self.table, self.name)
    }

    fn names_area(&self) -> bool {
        let name = self.name.as_str();
        self.kind == "area_code"
            || ["area", "areas", "scope"].contains(&name)
            || name.starts_with("area_")
            || name.ends_with("_area")
    }

    /// Any id may be a record's that is not known to be something else's.
    fn names_record(&self) -> bool {
        let name = self.name.as_str();
        match (self.refers.as_deref(), self.kind.as_str()) {
            (Some(table), _) => table == "records",
            _ if NO_RECORDS.contains(&name) || name.ends_with("_by") => false,
            (None, "uuid" | "uuid[]") => true,
            (None, "text") => name == "subject" || name.ends_with("_id"),
            _ => false,
        }
    }

    /// A value for the `number`th planted row, about `record` where this column is the one to name it.
    fn value(&self, number: usize, about: Option<Uuid>, event: Uuid) -> String {
        if let Some(record) = about {
            return match self.kind.as_str() {
                "uuid[]" => format!("'{{{record}}}'"),
                _ => format!("'{record}'"),
            };
        }
        match self.kind.as_str() {
            // The one planted event is found by its subjects, which stand beside it.
            "uuid" if self.name == "event_id" || self.full() == "events.id" => format!("'{event}'"),
            "uuid" => "gen_random_uuid()".to_owned(),
            "smallint" | "integer" | "bigint" => format!("{}", 30_000 + number),
            "text" if self.name == "status" => "'open'".to_owned(),
            "text" => format!("'planted {number}'"),
            "boolean" => "true".to_owned(),
            "timestamp with time zone" => "now()".to_owned(),
            "jsonb" => "'{}'".to_owned(),
            "bytea" => format!("decode(md5('{number}'), 'hex')"),
            "area_code" => format!("'{VILLAGE}'"),
            // Behind the wall nobody sees a row of no area.
            "text[]" if self.name == "areas" => format!("'{{{VILLAGE}}}'"),
            array if array.ends_with("[]") => "'{}'".to_owned(),
            other => panic!("{}: say what a {other} is like", self.full()),
        }
    }
}

async fn columns(connection: &mut PgConnection) -> Vec<Column> {
    sqlx::query_as(COLUMNS).fetch_all(connection).await.unwrap()
}

fn names<const N: usize>(list: [(&str, &str); N]) -> BTreeSet<String> {
    assert!(list.iter().all(|(_, reason)| !reason.is_empty()));
    list.iter().map(|(name, _)| (*name).to_owned()).collect()
}

async fn execute(connection: &mut PgConnection, sql: String) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(connection);
    done.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// One row for each column that names a record, in which that column alone names this one.
async fn plant(connection: &mut PgConnection, columns: &[Column], record: Uuid) {
    let loosen = "SET session_replication_role = replica; \
        DO $$ DECLARE it record; BEGIN FOR it IN SELECT conrelid::regclass AS of, conname FROM pg_constraint \
        WHERE contype = 'c' AND conrelid <> 0 AND connamespace = 'public'::regnamespace \
        LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', it.of, it.conname); END LOOP; END $$";
    execute(connection, loosen.to_owned()).await;
    let event = Uuid::from_u128(1);
    for (number, naming) in columns.iter().enumerate() {
        // Records themselves are erased as such.
        if !naming.names_record() || naming.table == "records" {
            continue;
        }
        let row = columns
            .iter()
            .filter(|column| column.table == naming.table && !column.identity);
        let (names, values): (Vec<&str>, Vec<String>) = row
            .map(|column| {
                let about = (column.name == naming.name).then_some(record);
                (column.name.as_str(), column.value(number, about, event))
            })
            .unzip();
        let (table, names, values) = (&naming.table, names.join(", "), values.join(", "));
        // What the record's own rows say already need not be planted.
        let insert =
            format!("INSERT INTO {table} ({names}) VALUES ({values}) ON CONFLICT DO NOTHING");
        execute(connection, insert).await;
    }
    let back = "SET session_replication_role = origin".to_owned();
    execute(connection, back).await;
}

/// The columns that name a record in some row.
async fn naming(
    connection: &mut PgConnection,
    columns: &[Column],
    record: Uuid,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for column in columns.iter().filter(|column| column.names_record()) {
        let (table, name) = (&column.table, &column.name);
        let sql = match column.kind.as_str() {
            "uuid[]" => {
                format!("SELECT EXISTS (SELECT FROM {table} WHERE '{record}' = ANY({name}))")
            }
            _ => format!("SELECT EXISTS (SELECT FROM {table} WHERE {name} = '{record}')"),
        };
        let query = sqlx::query_scalar(AssertSqlSafe(sql));
        if query.fetch_one(&mut *connection).await.unwrap() {
            found.insert(column.full());
        }
    }
    found
}

#[tokio::test]
async fn every_table_with_an_area_is_behind_the_wall() {
    let database = TestDatabase::create().await.unwrap();
    database.as_owner(PARCELS).await.unwrap();
    let mut connection = database.owner.connect().await.unwrap();
    let walled: Vec<String> = sqlx::query_scalar(WALLED)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert!(walled.contains(&"records".to_owned()), "{walled:?}");
    let columns = columns(&mut connection).await.into_iter();
    let open: BTreeSet<String> = columns
        .filter(|column| column.names_area() && !walled.contains(&column.table))
        .map(|column| column.table)
        .collect();
    assert_eq!(open, names(OPEN));
}

#[tokio::test]
async fn an_erased_record_is_named_by_nothing_that_is_not_said_to_stay() {
    let server = TestServer::open_city().await.unwrap();
    server.database.as_owner(PARCELS).await.unwrap();
    let mut phone = server.phone(VILLAGE).await.unwrap();
    let (person, item) = phone.resident("叶海思", "11010519491231002X").unwrap();
    phone.send(&server, vec![item]).await.unwrap();
    let mut connection = server.database.owner.connect().await.unwrap();
    let columns = columns(&mut connection).await;
    plant(&mut connection, &columns, person.0).await;
    let all: BTreeSet<String> = columns
        .iter()
        .filter(|column| column.names_record() && column.table != "records")
        .map(Column::full)
        .collect();
    assert_eq!(naming(&mut connection, &columns, person.0).await, all);

    let administrator = server
        .person(Role::AreaAdministrator, STREET)
        .await
        .unwrap();
    let path = format!("/api/records/{person}/erase");
    let body = json!({ "ground": "request", "confirm": person });
    let reply = server
        .send("POST", &path, Some(&administrator.token), Some(body))
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(
        naming(&mut connection, &columns, person.0).await,
        names(LEFT)
    );
}

#[tokio::test]
async fn of_every_column_that_names_a_record_it_is_said_what_a_merge_makes_of_it() {
    let database = TestDatabase::create().await.unwrap();
    database.as_owner(PARCELS).await.unwrap();
    let mut connection = database.owner.connect().await.unwrap();
    let columns = columns(&mut connection).await.into_iter();
    let naming: BTreeSet<String> = columns
        .filter(Column::names_record)
        .map(|column| column.full())
        .collect();
    assert_eq!(naming, names(MERGED));
}
