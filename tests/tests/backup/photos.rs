//! Photos in a backup: they come back byte for byte, and its list names each, so that none is damaged, missing or added
//! unseen.

use std::path::{Path, PathBuf};

use doorstep_server::keys::{FileKeys, KeyProvider};
use doorstep_tests::town::camera::picture;
use doorstep_tests::town::{Api, Office, Person, Server, phone, routes};
use serde_json::Value;

use super::{backup, person, program, refusal, restore};

/// Someone signed in at another server that knows them.
pub(crate) async fn at(server: &Server, who: &Person) -> Api {
    let api = Api::new(server.url());
    let person = Person::sign_in(&api, &who.name, &who.login, &who.password).await;
    person.unwrap().api
}

/// What the API shows of photos: each, and its thumbnail.
async fn shown(api: &Api, photos: &[(String, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut shown = Vec::new();
    for (digest, _) in photos {
        for part in ["", "/thumbnail"] {
            let path = format!("{}/{digest}{part}?purpose=verification", routes::PHOTOS);
            shown.push(api.get_bytes(&path).await.unwrap());
        }
    }
    shown
}

/// A photo's object in a backup.
fn an_object(backup: &Path) -> PathBuf {
    let within = |folder: &Path| {
        let mut entries = std::fs::read_dir(folder).unwrap();
        entries.next().unwrap().unwrap().path()
    };
    within(&within(&backup.join("objects/photos")))
}

/// Turns one bit in the middle of a file; gives the bytes that it had.
fn flip(file: &Path) -> Vec<u8> {
    let whole = std::fs::read(file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(file, flipped).unwrap();
    whole
}

/// Makes of a backup what an earlier version of the program wrote: without a list of objects.
fn forget_the_list(backup: &Path, keys: &FileKeys) {
    let file = backup.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let list = manifest.as_object_mut().unwrap().remove("object_list");
    assert_eq!(list.unwrap()["rows"], 4);
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let signature = hex::encode(keys.server_key().sign(&bytes));
    std::fs::write(file, bytes).unwrap();
    std::fs::write(backup.join("manifest.sig"), signature).unwrap();
    std::fs::remove_file(backup.join("objects.copy.zst")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn photos_come_back_and_one_that_is_damaged_or_missing_is_named() {
    let mut office = Office::open(&program()).await.unwrap();
    let url = office.server.url();
    let place = office.place();
    let writer = phone::light(&url, &office.collector, &place).await.unwrap();
    let mut photos = Vec::new();
    for number in 0..2 {
        let fields = person(number);
        let record = writer.create("resident", office.area, fields).unwrap();
        let bytes = picture(20_261_129 + number as u32).unwrap();
        let digest = writer.add_photo(record, "portrait", &bytes).unwrap();
        photos.push((digest, bytes));
    }
    let report = writer.sync_once().await.unwrap();
    assert_eq!((report.refused, report.photos_sent), (0, 2), "{report:?}");
    let before = shown(&office.supervisor.api, &photos).await;
    assert!(before[0] == photos[0].1 && before[2] == photos[1].1);
    let (to, keys) = (office.place(), office.place());
    let taken = backup(&office.server, &to, &keys);
    assert_eq!(taken["taken"]["objects"], 4, "with the thumbnails: {taken}");

    let object = an_object(&to);
    let name = object.file_name().unwrap().to_str().unwrap().to_owned();
    let whole = flip(&object);
    let said = refusal(&mut office, &to, &keys);
    assert!(said.contains("已损坏") && said.contains(&name), "{said}");
    std::fs::remove_file(&object).unwrap();
    let said = refusal(&mut office, &to, &keys);
    assert!(
        said.contains("缺少照片文件") && said.contains(&name),
        "{said}"
    );
    std::fs::write(&object, whole).unwrap();
    let list = to.join("objects.copy.zst");
    let whole = flip(&list);
    let said = refusal(&mut office, &to, &keys);
    assert!(said.contains("已损坏"), "{said}");
    std::fs::write(&list, whole).unwrap();

    // What nobody signed is not taken along, and stops nothing.
    let stray = object.with_file_name("stray");
    std::fs::write(&stray, b"stray").unwrap();
    let (mut server, said) = restore(&mut office, &to, &keys);
    assert_eq!(said["restored"]["objects"], 4, "{said}");
    assert_eq!(said["restored"]["unlisted"], 1, "{said}");
    let kept = server.data().join("photos");
    let of = |file: &Path| kept.join(file.strip_prefix(to.join("objects")).unwrap());
    assert!(of(&object).exists() && !of(&stray).exists());
    server.start().await.unwrap();
    let after = shown(&at(&server, &office.supervisor).await, &photos).await;
    assert!(after == before, "other bytes came back");
    server.stop().unwrap();

    std::fs::remove_file(&stray).unwrap();
    let own = FileKeys::open(&office.server.data().join("keys")).unwrap();
    forget_the_list(&to, &own);
    let (mut server, said) = restore(&mut office, &to, &keys);
    assert_eq!(said["restored"]["objects"], 4, "{said}");
    server.start().await.unwrap();
    let after = shown(&at(&server, &office.supervisor).await, &photos).await;
    assert!(after == before, "other bytes came back without a list");
    server.stop().unwrap();
}
