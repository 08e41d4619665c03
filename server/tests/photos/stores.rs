//! S3: a server that keeps its photos in S3-compatible storage, which checks every request's signature.

use doorstep_core::blob;
use doorstep_server::config::{Config, StoreSettings};
use doorstep_server::testing::city::VILLAGE;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

use crate::kit::{Kit, photo};

/// An S3 of this process over a folder, with one bucket; gives its address.
async fn storage(folder: &std::path::Path) -> String {
    std::fs::create_dir_all(folder.join("doorstep")).unwrap();
    let mut builder = s3s::service::S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).unwrap());
    builder.set_auth(s3s::auth::SimpleAuth::from_single(
        "key-of-tests",
        "secret-of-tests",
    ));
    let service = builder.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let connection = server.serve_connection(TokioIo::new(socket), service.clone());
            tokio::spawn(connection.into_owned());
        }
    });
    address
}

fn on(config: &mut Config, endpoint: &str, secret: &str) {
    config.photos = Some("s3://doorstep/shanghai".to_owned());
    let settings = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "cn-east-1"),
        ("AWS_ACCESS_KEY_ID", "key-of-tests"),
        ("AWS_SECRET_ACCESS_KEY", secret),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    config.photo_settings = StoreSettings(settings.into());
}

#[tokio::test]
async fn photos_are_kept_in_s3_and_go_when_they_are_erased() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = storage(folder.path()).await;
    let kit = Kit::with(|config| on(config, &endpoint, "secret-of-tests")).await;
    let bytes = photo(500, 1);
    let resident = kit.resident(&bytes).await;
    kit.upload(&kit.collector, &resident, "portrait", &bytes)
        .await;
    let path = format!("/api/photos/{}?purpose=service", blob::digest(&bytes));
    assert_eq!(
        kit.bytes(&kit.collector.token, &path, &[]).await.bytes,
        bytes
    );
    let objects = || -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![folder.path().join("doorstep")];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path)
                } else {
                    found.push(path)
                }
            }
        }
        found
    };
    assert_eq!(objects().len(), 2, "photo and thumbnail: {:?}", objects());
    for path in objects() {
        assert!(path.to_string_lossy().contains("doorstep/shanghai/"));
        let stored = std::fs::read(path).unwrap();
        let canary = &bytes[bytes.len() / 2..bytes.len() / 2 + 16];
        assert!(!stored.windows(16).any(|window| window == canary));
    }
    let body = json!({ "ground": "request", "confirm": resident });
    let erase = format!("/api/records/{resident}/erase");
    assert_eq!(
        kit.send(&kit.administrator, "POST", &erase, body)
            .await
            .status,
        200
    );
    kit.tidy().await;
    assert!(objects().is_empty(), "{:?}", objects());
}

#[tokio::test]
async fn a_store_that_refuses_is_said_to_be_unavailable_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = storage(folder.path()).await;
    let kit = Kit::with(|config| on(config, &endpoint, "another-secret")).await;
    let bytes = photo(500, 2);
    let house = kit.house(&[&bytes]).await;
    let opened = kit.open(&kit.collector, &house, "photos", &bytes).await;
    assert_eq!(opened.status, 200, "{VILLAGE}: {}", opened.body);
    let reply = kit
        .put_rest(&kit.collector.token, &opened.body, &bytes)
        .await;
    assert_eq!(
        (reply.status, reply.code()),
        (503, "photo_store_unavailable")
    );
    assert!(
        !reply.body.to_string().contains("127.0.0.1"),
        "{}",
        reply.body
    );
    let again = kit.open(&kit.collector, &house, "photos", &bytes).await;
    assert_eq!(again.body["offset"], 0, "it goes on where it stood");
}
