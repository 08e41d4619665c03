//! Words and bytes that stand nowhere else, and the search for them in every writing that matters. Knows no door.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorstep_core::value::{Fields, Value as Field};
use doorstep_tests::town::camera::picture;
use memchr::memmem;

/// Words that stand nowhere else, one for each door.
const WORDS: [(&str, &str); 18] = [
    ("a name by a phone", "鸞鳳和鳴"),
    ("a remark by a phone", "麒麟踏雪"),
    ("a visit's note", "龜蛇銜珠"),
    ("a name on the console", "驊騮綠耳"),
    ("a row of a file", "鷓鴣啼晚"),
    ("a colleague's name", "鯤鵬扶搖"),
    ("a search", "麝蘭馥鬱"),
    ("a refused value", "鸚鵡學舌"),
    ("a telephone number", "13817264593"),
    ("a certificate's number", "310104196305178469"),
    ("a passport's number", "E73920518"),
    ("a household's address", "鷺鷥鸂鶒路"),
    ("a residence's address", "鶺鴒鸛鵲弄"),
    ("an owner's name", "鴟鴞鵂鶹"),
    ("an owner's certificate", "310105195811237291"),
    ("an owner's telephone number", "13926481057"),
    ("a guardian's name", "鵜鶘鸕鶿"),
    ("a workplace", "鷦鷯鶉鷃廠"),
];

/// Bytes out of the middle of the photo that count as it.
const OF_PHOTO: usize = 48;

/// Something that must lie nowhere in clear.
pub(crate) struct Canary {
    pub(crate) door: String,
    bytes: Vec<u8>,
}

impl Canary {
    pub(crate) fn of(door: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            door: door.to_owned(),
            bytes: bytes.into(),
        }
    }

    /// The ways in which it could lie in a file or pass over a line.
    fn writings(&self) -> Vec<Vec<u8>> {
        let hexed = hex::encode(&self.bytes);
        let mut ways = vec![
            self.bytes.clone(),
            hexed.to_ascii_uppercase().into_bytes(),
            hexed.into_bytes(),
        ];
        if let Ok(text) = str::from_utf8(&self.bytes) {
            let utf16: Vec<u16> = text.encode_utf16().collect();
            ways.push(utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect());
            ways.push(utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect());
            if !text.is_ascii() {
                let url: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
                let escaped: String = utf16.iter().map(|unit| format!("\\u{unit:04x}")).collect();
                ways.extend([url.into_bytes(), escaped.into_bytes()]);
            }
        }
        // Base64 shows it in one of three ways, by where it stands; the ends mix with what is beside it.
        for before in 0..3_usize {
            let padded = [vec![0; before], self.bytes.clone()].concat();
            let whole = before.div_ceil(3) * 4..padded.len() / 3 * 4;
            ways.push(STANDARD.encode(&padded).as_bytes()[whole].to_vec());
        }
        ways
    }

    /// Whether it lies in some bytes.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        self.writings()
            .iter()
            .any(|way| memmem::find(bytes, way).is_some())
    }
}

/// All of them: the words, and the photo.
pub(crate) fn all() -> Vec<Canary> {
    let words = WORDS.map(|(door, text)| Canary::of(door, text));
    let photo = photo();
    let middle = photo.len() / 2;
    let photo = Canary::of("a photo", &photo[middle..middle + OF_PHOTO]);
    words.into_iter().chain([photo]).collect()
}

/// The word of a door.
pub(crate) fn canary(door: &str) -> &'static str {
    WORDS.iter().find(|(name, _)| *name == door).unwrap().1
}

/// A picture that the canaries are sent with.
pub(crate) fn photo() -> Vec<u8> {
    picture(20_261_128).unwrap()
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Field::from(*value)))
        .collect()
}

/// A person full of canaries.
pub(crate) fn resident() -> Fields {
    fields(&[
        ("name", canary("a name by a phone")),
        ("sex", "2"),
        ("population_kind", "01"),
        ("remark", canary("a remark by a phone")),
        ("phone", canary("a telephone number")),
        ("certificate_kind", "111"),
        ("id_number", canary("a certificate's number")),
        ("passport_number", canary("a passport's number")),
        ("register_address", canary("a household's address")),
        ("workplace", canary("a workplace")),
        (
            "guardians/1",
            &format!(
                r#"{{"name":"{}","relation":"01"}}"#,
                canary("a guardian's name")
            ),
        ),
    ])
}

/// A house full of them. Its own address is declared open: it says of nobody that they live there.
pub(crate) fn house() -> Fields {
    fields(&[
        ("address", "安康路7弄9号"),
        ("house_use", "1"),
        ("owner_name", canary("an owner's name")),
        ("owner_certificate_kind", "111"),
        ("owner_id_number", canary("an owner's certificate")),
        ("owner_phone", canary("an owner's telephone number")),
    ])
}

/// Where someone lives.
pub(crate) fn residence(resident: &str) -> Fields {
    let address = format!("{}7号", canary("a residence's address"));
    fields(&[
        ("resident", resident),
        ("kind", "living"),
        ("address", &address),
    ])
}

/// A visit to someone, with a note.
pub(crate) fn visit(resident: &str, at: i64) -> Fields {
    let mut visit = fields(&[
        ("mode", "01"),
        ("purpose", "01"),
        ("result", "01"),
        ("note", canary("a visit's note")),
        ("resident", resident),
    ]);
    visit.insert("at".to_owned(), Field::Int(at));
    visit
}

/// Which of them were found, and in which file of a folder.
pub(crate) fn found_in(folder: &Path, canaries: &[Canary]) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(folder) {
        let Ok(mut bytes) = std::fs::read(&path) else {
            continue; // gone meanwhile
        };
        if path.extension().is_some_and(|end| end == "zst") {
            bytes = zstd::decode_all(bytes.as_slice()).unwrap();
        }
        let name = path.to_string_lossy();
        let hits = canaries
            .iter()
            .filter(|canary| canary.is_in(&bytes) || canary.is_in(name.as_bytes()));
        found.extend(hits.map(|canary| format!("{}: {name}", canary.door)));
    }
    found
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let kind = std::fs::metadata(entry.path());
            match kind {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

/// A search that finds nothing proves nothing: each canary is found where it lies in clear.
#[test]
fn the_search_finds_what_is_in_clear() {
    let canaries = all();
    let folder = tempfile::tempdir().unwrap();
    let found = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let found = found_in(folder.path(), &canaries);
        std::fs::remove_file(&path).unwrap();
        found
    };
    for canary in &canaries {
        for way in canary.writings() {
            assert!(
                way.len() >= 8,
                "{}: too short to mean anything",
                canary.door
            );
            let bytes = [b"before".to_vec(), way, b"after".to_vec()].concat();
            assert_eq!(found("file", &bytes).len(), 1, "{}", canary.door);
            let packed = zstd::encode_all(bytes.as_slice(), 3).unwrap();
            assert_eq!(
                found("file.zst", &packed).len(),
                1,
                "{}, packed",
                canary.door
            );
        }
    }
}
