//! The worked examples of `docs/protocol.md`, made anew and compared, so that the document can't go stale.
//! `UPDATE_EXAMPLES=1 cargo test -p doorstep-core --test protocol_document` writes them into the document.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use doorstep_core::blob;
use doorstep_core::crdt::Registers;
use doorstep_core::crypto::actor;
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::envelope::{ChangeItem, Envelope, EventItem, Item, SignedEnvelope};
use doorstep_core::ids::{DeviceId, EventId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::codec;
use doorstep_core::protocol::digest::ScopeDigest;
use doorstep_core::protocol::frames::{
    Batch, BundleOffer, Bye, Cursor, Down, Entry, EventEntry, Heads, Hello, Outcome, Present,
    Purged, Pushed, PutEntry, Refusal, ScopeState, StateEntry, Unsent, Up, Welcome, WholeEntry,
};
use doorstep_core::time::Timestamp;
use doorstep_core::value::{Fields, Value};

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md")
}

const TIME: Timestamp = Timestamp(1_795_482_000_000);

fn device() -> DeviceId {
    DeviceId::from_bytes([0xd0; 16])
}

fn user() -> UserId {
    UserId::from_bytes([0xc0; 16])
}

fn record() -> RecordId {
    "01a20c3f-8000-7000-8000-000000000001".parse().unwrap()
}

fn scope() -> ScopeId {
    ScopeId::Area("310101002001".parse().unwrap())
}

fn fields<const N: usize>(values: [(&str, Value); N]) -> Fields {
    values.map(|(key, value)| (key.to_owned(), value)).into()
}

fn put(bytes: &[u8]) -> PutEntry {
    PutEntry {
        record: record(),
        record_type: "resident".to_owned(),
        epoch: 0,
        bytes: bytes.to_vec(),
    }
}

/// Every example by name.
fn examples() -> BTreeMap<&'static str, Vec<u8>> {
    let mut out = BTreeMap::new();
    let key = KeyPair::from_secret(&[0x0d; 32]).unwrap();
    let author = actor::derive(&key.public(), record(), 0);
    out.insert("public-key", key.public().as_bytes().to_vec());
    out.insert("actor", author.0.to_vec());

    let mut registers = Registers::default();
    let beginning = fields([
        ("_area", "310101002001".into()),
        ("_type", "resident".into()),
        ("_v", 1.into()),
        ("name", "林朝霞".into()),
    ]);
    let (change, first, first_hash) = registers.change(author, TIME.0, &beginning);
    registers.apply(&change, first_hash).unwrap();
    let edit = fields([
        ("name", "林朝晖".into()),
        ("remark", Value::Null),
        ("tags/01", true.into()),
    ]);
    let (change, second, second_hash) = registers.change(author, TIME.0 + 60_000, &edit);
    registers.apply(&change, second_hash).unwrap();
    out.insert("change-1", first.clone());
    out.insert("change-1-hash", first_hash.0.to_vec());
    out.insert("change-2", second.clone());
    out.insert("change-2-hash", second_hash.0.to_vec());

    let part = ScopeDigest::of_record(record(), &[second_hash]);
    out.insert("digest-part", part.0.to_vec());
    let cursor = Cursor {
        seq: 2,
        digest: part,
    };

    let event: EventId = "01a20c3f-8001-7000-8000-000000000002".parse().unwrap();
    let visit = fields([
        ("at", TIME.0.into()),
        ("resident", record().to_string().into()),
    ]);
    let items = vec![
        Item::Change(ChangeItem {
            record: record(),
            record_type: "resident".to_owned(),
            epoch: 0,
            bytes: first.clone(),
        }),
        Item::Event(EventItem {
            id: event,
            event_type: "visit".to_owned(),
            area: "310101002001".parse().unwrap(),
            fields: visit.clone(),
        }),
    ];
    let envelope = Envelope {
        version: 1,
        device: device(),
        user: user(),
        seq: 1,
        time: TIME,
        items,
    };
    let signed = envelope.seal(&key);
    out.insert("envelope-body", signed.body.clone());
    out.insert("envelope-signature", signed.signature.clone());
    let short = SignedEnvelope {
        body: vec![0xaa; 4],
        signature: vec![0xbb; 4],
    };

    let up = [
        (
            "hello",
            Up::Hello(Hello {
                version: 1,
                token: b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".to_vec(),
                device: device(),
                scopes: vec![(scope(), cursor), (ScopeId::Common, Cursor::default())],
            }),
        ),
        ("push", Up::Push(short)),
        (
            "purged",
            Up::Purged(Purged {
                scope: scope(),
                records: vec![record()],
            }),
        ),
        (
            "heads",
            Up::Heads(Heads {
                scope: scope(),
                seq: 2,
                records: vec![(record(), part)],
            }),
        ),
        ("presence-up", Up::Presence(Some(record()))),
        (
            "unsent",
            Up::Unsent(Unsent {
                items: 3,
                blobs: 1,
                oldest: Some(TIME),
            }),
        ),
        ("stored", Up::Stored(scope(), 2)),
    ];
    for (name, frame) in up {
        assert_eq!(Up::decode(&frame.encode()).unwrap(), frame);
        out.insert(name, frame.encode());
    }

    let entries = [
        ("entry-put", Entry::Put(put(&first[..8]))),
        ("entry-own", Entry::Own(record(), second_hash)),
        (
            "entry-whole",
            Entry::Whole(WholeEntry {
                record: record(),
                record_type: "resident".to_owned(),
                epoch: 0,
                changes: vec![first[..8].to_vec().into(), second[..8].to_vec().into()],
            }),
        ),
        (
            "entry-state",
            Entry::State(StateEntry {
                key: "message/1".to_owned(),
                json: "{}".to_owned(),
            }),
        ),
        (
            "entry-event",
            Entry::Event(EventEntry {
                id: event,
                event_type: "visit".to_owned(),
                area: "310101002001".parse().unwrap(),
                user: user(),
                fields: visit,
            }),
        ),
        ("entry-leave", Entry::Leave(record())),
        ("entry-erase", Entry::Erase(record())),
    ];
    for (name, entry) in entries {
        out.insert(name, codec::to_bytes(&entry));
    }

    let offer = BundleOffer {
        digest: vec![0xdd; 32],
        bytes: 187_301,
        records: 4_000,
        cursor,
    };
    let refusal = Refusal {
        code: "field_not_writable".to_owned(),
        field: Some("name".to_owned()),
        message: "没有权限".to_owned(),
    };
    let down = [
        (
            "welcome",
            Down::Welcome(Welcome {
                time: TIME,
                next_envelope: 2,
                scopes: vec![ScopeState {
                    scope: scope(),
                    end: cursor,
                    bundle: Some(offer),
                }],
                dropped: vec![ScopeId::User(user())],
            }),
        ),
        (
            "batch",
            Down::Batch(Batch {
                scope: scope(),
                from: 0,
                to: 2,
                packed: vec![0xaa; 4],
            }),
        ),
        ("checkpoint", Down::Checkpoint(scope(), cursor)),
        (
            "pushed",
            Down::Pushed(Pushed {
                seq: 1,
                outcomes: vec![
                    Outcome::Accepted,
                    Outcome::Duplicate,
                    Outcome::Waiting,
                    Outcome::Refused(refusal),
                ],
                refused: None,
            }),
        ),
        (
            "presence-down",
            Down::Presence(vec![Present {
                record: record(),
                user: user(),
                name: "林朝霞".to_owned(),
            }]),
        ),
        ("wipe", Down::Wipe),
        (
            "bye",
            Down::Bye(Bye {
                code: "shutting_down".to_owned(),
                message: "服务正在停止".to_owned(),
                retry_after_ms: Some(5_000),
            }),
        ),
    ];
    for (name, frame) in down {
        assert_eq!(Down::decode(&frame.encode()).unwrap(), frame);
        out.insert(name, frame.encode());
    }

    let nonce = [0x5a; 32];
    out.insert(
        "sign-in-message",
        [
            b"doorstep-sign-in-v1".as_slice(),
            &nonce,
            device().as_bytes(),
        ]
        .concat(),
    );
    out.insert(
        "sign-in-signature",
        key.sign(&out["sign-in-message"]).to_vec(),
    );
    out.insert("photo-digest", hex::decode(blob::digest(b"abc")).unwrap());
    out
}

/// Bytes as the document shows them: 24 to a line.
fn shown(bytes: &[u8]) -> String {
    let line = |chunk: &[u8]| {
        chunk
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    bytes.chunks(24).map(line).collect::<Vec<_>>().join("\n")
}

/// The document with every example as it is now, and the names that it shows.
fn renewed(text: &str, examples: &BTreeMap<&'static str, Vec<u8>>) -> (String, Vec<String>) {
    let (mut out, mut names) = (String::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some(name) = line.strip_prefix("```hex ") else {
            continue;
        };
        let bytes = examples
            .get(name)
            .unwrap_or_else(|| panic!("the document shows an unknown example: {name}"));
        names.push(name.to_owned());
        out.push_str(&shown(bytes));
        out.push_str("\n```\n");
        lines
            .by_ref()
            .find(|line| *line == "```")
            .expect("every example ends");
    }
    (out, names)
}

#[test]
fn the_documents_examples_are_what_the_code_writes() {
    let text = std::fs::read_to_string(document()).unwrap();
    let examples = examples();
    let (expected, shown) = renewed(&text, &examples);
    for name in examples.keys() {
        assert!(
            shown.iter().any(|shown| shown == name),
            "docs/protocol.md does not show {name}"
        );
    }
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        std::fs::write(document(), &expected).unwrap();
    }
    let text = std::fs::read_to_string(document()).unwrap();
    assert!(
        text == expected,
        "docs/protocol.md shows other bytes than the code writes: run this test with UPDATE_EXAMPLES=1 and look at the difference"
    );
}

#[test]
fn the_document_names_every_limit_as_it_is() {
    use doorstep_core::crdt::chunk;
    use doorstep_core::{envelope, protocol, sync};
    let text = std::fs::read_to_string(document()).unwrap();
    let limits: [(&str, u64); 13] = [
        ("frame from a device", protocol::MAX_FRAME_UP as u64),
        ("frame to a device", protocol::MAX_FRAME_DOWN as u64),
        ("unpacked batch", protocol::MAX_UNPACKED as u64),
        ("envelope body", envelope::MAX_BODY as u64),
        ("items in an envelope", envelope::MAX_ITEMS as u64),
        ("change", chunk::MAX_CHUNK as u64),
        ("operations in a change", chunk::MAX_OPS as u64),
        ("key", chunk::MAX_KEY as u64),
        ("predecessors of an operation", chunk::MAX_PREDS as u64),
        ("predecessors in a change", chunk::MAX_CHANGE_PREDS as u64),
        ("entries sent ahead", sync::server::WINDOW_ENTRIES),
        ("photo", blob::MAX_BYTES),
        ("chunk of a photo", blob::CHUNK as u64),
    ];
    for (what, limit) in limits {
        let row = format!("| {what} | {limit} |");
        assert!(
            text.contains(&row),
            "docs/protocol.md should have the line: {row}"
        );
    }
}

#[test]
fn the_document_names_every_code_of_refusal() {
    let text = std::fs::read_to_string(document()).unwrap();
    let sources = [
        "src/accept/judge.rs",
        "src/envelope.rs",
        "src/crdt/chunk/decode.rs",
        "src/crdt/registers.rs",
        "src/blob.rs",
    ];
    let mut missing = Vec::new();
    for source in sources {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(source);
        let code = std::fs::read_to_string(path).unwrap();
        for word in code.split('"').skip(1).step_by(2) {
            let is_code = word.contains('_')
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            // Reserved keys begin with an underscore; `serde_bytes` is a library.
            let other = word.starts_with('_') || word == "serde_bytes";
            if is_code && !other && !text.contains(&format!("`{word}`")) {
                missing.push(format!("{source}: {word}"));
            }
        }
    }
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "docs/protocol.md does not name these codes"
    );
}
