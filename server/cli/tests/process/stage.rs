//! A server process on its own database, an administrator who is signed in, people and devices. Knows no story.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const AREA: &str = "310101002001";
pub(crate) const PASSWORD: &str = "Ganlan-2026-shu";

/// Ends with SIGTERM, so that the database stops too.
pub(crate) struct Server {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let id = self.process.id().to_string();
        Command::new("kill").arg(id).status().ok();
        self.process.wait().ok();
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command
        .args(arguments)
        .env("DOORSTEP_SESSION", folder.join("session.json"))
        .env_remove("DOORSTEP_SERVER")
        .stdin(Stdio::null());
    command
}

pub(crate) fn doorstep(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    command(folder, arguments)
        .arg("--json")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// Runs it as a person does; it must end well. Gives what is shown.
pub(crate) fn shown(folder: &Path, arguments: &[&str]) -> String {
    let output = command(folder, arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}: {said}", arguments.join(" "));
    said
}

/// Runs it; it must end well. Gives what it says.
pub(crate) fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Value {
    let output = doorstep(folder, arguments, environment);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "doorstep {}: {said} {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&said).unwrap()
}

/// Runs it; it must be refused. Gives exit code and error code.
pub(crate) fn refused(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = doorstep(folder, arguments, &[]);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    (
        output.status.code().unwrap(),
        said["error"]["code"].as_str().unwrap().to_owned(),
    )
}

impl Server {
    /// Areas, an administrator, a running server, and the administrator signed in.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The database runs as another user, who must be able to come here.
        let data = folder.path().join("data");
        let data = data.to_str().unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let areas = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/shanghai-areas.csv"
        );
        let imported = run(
            folder.path(),
            &["areas", "import", areas, "--data", data],
            &[],
        );
        assert_eq!(imported["version"], 1);
        let admin = run(folder.path(), &["admin", "create", "--data", data], &[]);
        let first = admin["password"].as_str().unwrap().to_owned();
        let mut process = Command::new(env!("CARGO_BIN_EXE_doorstep"))
            .args(["serve", "--data", data, "--listen", "127.0.0.1:0", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let address = said["listening"].as_str().unwrap().to_owned();
        let server = Self {
            process,
            address,
            folder,
        };
        let secrets = [
            ("DOORSTEP_PASSWORD", first.as_str()),
            ("DOORSTEP_NEW_PASSWORD", PASSWORD),
        ];
        let login = run(
            server.path(),
            &["login", "--server", &server.address, "--login", "admin"],
            &secrets,
        );
        assert_eq!(login["password_changed"], true);
        server
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> String {
        self.path().join("data").to_str().unwrap().to_owned()
    }

    /// A new user of the village; gives the first password.
    fn user(&self, login: &str, name: &str, role: &str) -> String {
        let create = [
            "users", "create", "--login", login, "--name", name, "--area", AREA, "--role", role,
        ];
        let created = run(self.path(), &create, &[]);
        created["temporary_password"].as_str().unwrap().to_owned()
    }

    /// A collector with an enrolled device; gives the device's folder.
    pub(crate) fn device(&self, login: &str) -> String {
        let first = self.user(login, "林朝霞", "collector");
        let dir = self.path().join(login).to_str().unwrap().to_owned();
        let secrets = [
            ("DOORSTEP_PASSWORD", first.as_str()),
            ("DOORSTEP_NEW_PASSWORD", PASSWORD),
        ];
        let enroll = [
            "device",
            "enroll",
            "--server",
            &self.address,
            "--login",
            login,
            "--dir",
            &dir,
        ];
        let enrolled = run(self.path(), &enroll, &secrets);
        assert_eq!(enrolled["must_change_password"], false);
        dir
    }

    /// A signed-in supervisor; gives the session's file.
    pub(crate) fn supervisor(&self, login: &str) -> String {
        let first = self.user(login, "何建华", "supervisor");
        let session = self.path().join(login).to_str().unwrap().to_owned();
        let secrets = [
            ("DOORSTEP_PASSWORD", first.as_str()),
            ("DOORSTEP_NEW_PASSWORD", PASSWORD),
        ];
        let login = [
            "login",
            "--server",
            &self.address,
            "--login",
            login,
            "--session",
            &session,
        ];
        run(self.path(), &login, &secrets);
        session
    }

    pub(crate) fn on(&self, dir: &str, arguments: &[&str]) -> Value {
        let arguments = [&["device"], arguments, &["--dir", dir]].concat();
        run(self.path(), &arguments, &[])
    }

    /// A request of the administrator's, over HTTP/1.0; gives the answer's JSON.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let session = std::fs::read(self.path().join("session.json")).unwrap();
        let session: Value = serde_json::from_slice(&session).unwrap();
        let host = self.address.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        let body = body.to_string();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            session["token"].as_str().unwrap(),
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }
}
