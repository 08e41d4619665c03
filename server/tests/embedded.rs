//! The private PostgreSQL: made, stopped, found again after a kill, refused to a second server.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use doorstep_server::app::App;
use doorstep_server::clock::SystemClock;
use doorstep_server::config::Config;
use doorstep_server::database::{Durability, Embedded, Ownership};

async fn open(folder: &Path, ownership: Ownership) -> anyhow::Result<App> {
    App::open(
        Config::new(folder.to_path_buf()),
        Arc::new(SystemClock),
        ownership,
    )
    .await
}

#[tokio::test]
async fn a_data_folder_serves_one_server_and_many_commands_and_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    // Reachable for the user that the database runs as when the tests run as root.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = open(folder.path(), Ownership::Own).await.unwrap();
    let migrations = sqlx::query("SELECT * FROM _sqlx_migrations")
        .execute(&server.state.pool)
        .await;
    assert!(
        migrations.is_err(),
        "the application's role has no business with the schema's own table"
    );

    let refused = open(folder.path(), Ownership::Own).await.unwrap_err();
    assert!(refused.to_string().contains("正被另一个服务使用"));
    let command = open(folder.path(), Ownership::Share).await.unwrap();
    let one: i32 = sqlx::query_scalar("SELECT 1")
        .fetch_one(&command.state.pool)
        .await
        .unwrap();
    assert_eq!(one, 1);
    command.close().await.unwrap();
    assert_eq!(
        sqlx::query_scalar::<_, i32>("SELECT 1")
            .fetch_one(&server.state.pool)
            .await
            .unwrap(),
        1
    );

    server.close().await.unwrap();
    let cluster = Embedded::prepare(folder.path(), Durability::Full).unwrap();
    assert!(!cluster.is_running());

    // A killed server leaves its cluster running: the next one takes it over.
    cluster.start().unwrap();
    assert!(cluster.is_running());
    let next = open(folder.path(), Ownership::Own).await.unwrap();
    next.close().await.unwrap();
    assert!(!cluster.is_running());

    // A killed machine leaves postmaster.pid behind, whose number another process may bear by now: ours, say.
    let pid_file = folder.path().join("postgres/data/postmaster.pid");
    std::fs::write(
        &pid_file,
        format!(
            "{}\n/nowhere\n0\n5432\n\n\n0 0\nready\n",
            std::process::id()
        ),
    )
    .unwrap();
    assert!(!cluster.is_running());
    let again = open(folder.path(), Ownership::Own).await.unwrap();
    again.close().await.unwrap();
}

#[tokio::test]
async fn a_server_told_to_stop_ends_what_it_began_and_its_database_with_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = Config::new(folder.path().to_path_buf());
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let app = App::open(config, Arc::new(SystemClock), Ownership::Own)
        .await
        .unwrap();
    let listener = app.bind().await.unwrap();
    let url = format!("http://{}/health/ready", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(app.serve(listener, async move {
        stopped.await.ok();
    }));
    let ready = reqwest::get(&url).await.unwrap();
    assert_eq!(ready.status().as_u16(), 200);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert!(reqwest::get(&url).await.is_err());
    let cluster = Embedded::prepare(folder.path(), Durability::Full).unwrap();
    assert!(!cluster.is_running());
}
