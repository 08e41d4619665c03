//! How long a collector waits: `cargo run --release -p doorstep-sqlite --example device_bench`.
//!
//! 3,000 residents and 1,000 houses come as a server sends them, then the app is opened, lists, searches and edits.
//! Prints medians in milliseconds beside the targets; ends with 1 when one is missed. People and places are invented.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use doorstep_core::crdt::Registers;
use doorstep_core::crypto::actor;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::ids::{AreaCode, DeviceId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::frames::{
    Batch, Cursor, Down, Entry, ScopeState, Welcome, WholeEntry,
};
use doorstep_core::store::{DeviceStore, ListQuery};
use doorstep_core::sync::{DeviceSession, Identity, edit};
use doorstep_core::time::Timestamp;
use doorstep_core::value::Fields;
use doorstep_sqlite::SqliteStore;

const RESIDENTS: u32 = 3_000;
const HOUSES: u32 = 1_000;
const KEY: [u8; 32] = [42; 32];

fn main() -> ExitCode {
    let dir = tempfile::tempdir().unwrap();
    let who = identity(1);
    let batches = batches(&identity(2));
    let mut missed = false;
    let mut report = |what: &str, ms: f64, target: f64| {
        missed |= ms >= target;
        let mark = if ms < target { "" } else { "  missed" };
        println!("{what:<46} {ms:>9.2} ms   under {target}{mark}");
    };

    let mut store = open(dir.path(), &who);
    let took = milliseconds(|| first_sync(&mut store, &who, batches));
    assert_eq!(store.count(None).unwrap(), u64::from(RESIDENTS + HOUSES));
    report("first sync, frames to disk, searchable", took, 700.0);
    drop(store);

    let opened = median(9, || {
        let store = open(dir.path(), &who);
        let listed = store.list(&list("resident", "")).unwrap();
        assert_eq!(listed.len(), 50);
    });
    report("open and list the first 50", opened, 300.0);

    let mut store = open(dir.path(), &who);
    let all = median(9, || {
        let everything = ListQuery {
            limit: 10_000,
            ..list("resident", "")
        };
        assert_eq!(store.list(&everything).unwrap().len(), RESIDENTS as usize);
    });
    report("list all 3,000 residents", all, 300.0);
    for (what, text) in [
        ("a whole name", "叶海斯"),
        ("pinyin", "yehaisi"),
        ("initials", "yhs"),
        ("a surname (many hits)", "叶"),
        ("last digits of the ID", "0017"),
        ("an address", "中山南路12弄"),
        ("two words", "叶 中山南路"),
        ("nothing", "不存在的人"),
    ] {
        let mut found = 0;
        let took = median(25, || {
            found = store.list(&list("resident", text)).unwrap().len()
        });
        report(&format!("search: {what} ({found} shown)"), took, 50.0);
    }

    let ids = store
        .list(&ListQuery {
            limit: 500,
            ..list("resident", "")
        })
        .unwrap();
    let mut times = Vec::new();
    for (n, listed) in ids.iter().enumerate() {
        let fields: Fields = [("occupation".to_owned(), format!("职业{n}").into())].into();
        times.push(milliseconds(|| {
            edit::update(&mut store, &who, listed.id, &fields, Timestamp(5))
                .unwrap()
                .unwrap();
        }));
    }
    report("an edit, on disk", middle(times), 5.0);
    let recovered = median(3, || {
        assert!(edit::recover(&mut store, &who).unwrap().is_empty());
    });
    report(
        "look through 500 unsent edits at the start",
        recovered,
        300.0,
    );
    let bytes: u64 = std::fs::read_dir(store.folder())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    println!("{:<46} {:>9.2} MB", "files", bytes as f64 / 1e6);
    ExitCode::from(u8::from(missed))
}

fn identity(n: u8) -> Identity {
    Identity {
        device: DeviceId::from_bytes([n; 16]),
        user: UserId::from_bytes([n; 16]),
        key: KeyPair::from_secret(&[n; 32]).unwrap(),
    }
}

fn open(dir: &Path, who: &Identity) -> SqliteStore {
    SqliteStore::open(dir, KEY, who.user).unwrap()
}

fn list(record_type: &str, text: &str) -> ListQuery {
    ListQuery {
        record_type: Some(record_type.to_owned()),
        text: text.to_owned(),
        limit: 50,
        ..ListQuery::default()
    }
}

fn area() -> AreaCode {
    "310101002001".parse().unwrap()
}

fn first_sync(store: &mut SqliteStore, who: &Identity, batches: Vec<Batch>) {
    let mut session = DeviceSession::new(who.clone(), vec![0; 32]);
    let end = batches.last().map_or(0, |batch| batch.to);
    let welcome = Down::Welcome(Welcome {
        time: Timestamp(0),
        next_envelope: 1,
        scopes: vec![ScopeState {
            scope: ScopeId::Area(area()),
            end: Cursor {
                seq: end,
                ..Cursor::default()
            },
            bundle: None,
        }],
        dropped: vec![],
    });
    let frames = std::iter::once(welcome).chain(batches.into_iter().map(Down::Batch));
    for frame in frames {
        session.receive(store, frame, Timestamp(1)).unwrap();
    }
    assert!(session.settled(store).unwrap());
}

/// Batches of the size a server makes them.
fn batches(who: &Identity) -> Vec<Batch> {
    let scope = ScopeId::Area(area());
    let residents = (0..RESIDENTS).map(|n| ("resident", n, resident(n)));
    let houses = (0..HOUSES).map(|n| ("house", n, house(n)));
    let entries: Vec<Entry> = residents
        .chain(houses)
        .map(|(kind, n, fields)| whole(who, kind, n, fields))
        .collect();
    let mut from = 0;
    let parts = entries.chunks(150).map(|part| {
        let to = from + part.len() as u64;
        let batch = Batch::pack(scope, from, to, part).unwrap();
        from = to;
        batch
    });
    parts.collect()
}

fn whole(who: &Identity, kind: &str, n: u32, mut fields: Fields) -> Entry {
    let mut bytes = [0; 16];
    bytes[0] = u8::from(kind == "house");
    bytes[4..8].copy_from_slice(&n.to_be_bytes());
    bytes[6] = 0x70;
    bytes[8..12].copy_from_slice(&n.to_be_bytes());
    let record = RecordId::from_bytes(bytes);
    fields.insert("_type".to_owned(), kind.into());
    fields.insert("_v".to_owned(), 1.into());
    fields.insert("_area".to_owned(), area().as_str().into());
    let actor = actor::derive(&who.key.public(), record, 0);
    let (_, chunk, _) = Registers::default().change(actor, 1_700_000_000_000, &fields);
    Entry::Whole(WholeEntry {
        record,
        record_type: kind.to_owned(),
        epoch: 0,
        changes: vec![chunk.into()],
    })
}

const SURNAMES: [&str; 12] = [
    "叶", "王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐",
];
const GIVEN: [&str; 15] = [
    "海", "斯", "小", "明", "秀", "英", "建", "国", "丽", "芳", "文", "静", "伟", "强", "敏",
];
const ROADS: [&str; 6] = [
    "中山南路",
    "人民路",
    "复兴东路",
    "河南南路",
    "陆家浜路",
    "西藏南路",
];

fn name(n: u32) -> String {
    let n = n as usize;
    let given = GIVEN[n / 12 % 15];
    format!(
        "{}{given}{}",
        SURNAMES[n % 12],
        GIVEN[n / 180 % 15 + usize::from(n < 180)]
    )
}

fn address(n: u32) -> String {
    let road = ROADS[n as usize % 6];
    format!(
        "{road}{}弄{}号{}室",
        n / 60 + 1,
        n % 60 + 1,
        (n % 6 + 1) * 100 + n % 4 + 1
    )
}

fn resident(n: u32) -> Fields {
    let number = format!(
        "3101011970{:02}{:02}{:04}",
        n % 12 + 1,
        n % 28 + 1,
        n % 9_999
    );
    let texts = [
        ("name", name(n)),
        ("certificate_kind", "111".to_owned()),
        ("id_number", number),
        ("sex", (n % 2 + 1).to_string()),
        (
            "birth_date",
            format!("1970-{:02}-{:02}", n % 12 + 1, n % 28 + 1),
        ),
        ("nationality", "01".to_owned()),
        ("population_kind", "01".to_owned()),
        ("register_address", format!("上海市黄浦区{}", address(n))),
        (
            "phone",
            format!("138{:08}", u64::from(n) * 7_919 % 100_000_000),
        ),
        ("marital_status", "20".to_owned()),
        ("education", "20".to_owned()),
        ("political_status", "13".to_owned()),
        ("occupation", "教师".to_owned()),
        ("workplace", format!("第{}小学", n % 90)),
        ("status", "active".to_owned()),
        ("police_person_id", format!("RK{n:010}")),
    ];
    let mut fields: Fields = texts
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    if n.is_multiple_of(5) {
        fields.insert("tags/elderly".to_owned(), true.into());
    }
    fields
}

fn house(n: u32) -> Fields {
    let texts = [("address", address(n * 3)), ("status", "active".to_owned())];
    let fields = texts.into_iter();
    fields
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect()
}

fn milliseconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64() * 1_000.0
}

fn median(times: usize, mut run: impl FnMut()) -> f64 {
    middle((0..times).map(|_| milliseconds(&mut run)).collect())
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
