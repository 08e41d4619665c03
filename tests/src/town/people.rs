//! Accounts, made the way real ones are: the first administrators by the command line, everyone else over HTTP.
//! Knows no device.

use anyhow::Context;
use doorstep_core::rights::Role;
use serde_json::{Value, json};

use super::{Api, Server, routes};

/// The three kinds of first administrators.
const ADMINISTRATORS: [Role; 3] = [
    Role::AreaAdministrator,
    Role::SecurityAdministrator,
    Role::Auditor,
];

/// Someone with an account, signed in at the console.
#[derive(Clone, Debug)]
pub struct Person {
    /// The account's id.
    pub id: String,
    /// What colleagues call them.
    pub name: String,
    /// What they sign in with.
    pub login: String,
    /// Their password.
    pub password: String,
    /// Requests as this person.
    pub api: Api,
}

/// The three first administrators, kept apart as GB/T 22239 asks.
#[derive(Clone, Debug)]
pub struct Administrators {
    /// 区划管理员
    pub areas: Person,
    /// 安全管理员
    pub security: Person,
    /// 审计员
    pub auditor: Person,
}

impl Person {
    /// Signs in for the first time, and sets a password in place of the temporary one.
    async fn first_sign_in(
        api: &Api,
        name: &str,
        login: &str,
        temporary: &str,
    ) -> anyhow::Result<Self> {
        let password = format!("Steady-Lamp-{:06}", rand::random::<u32>() % 1_000_000);
        let opened = sign_in(api, login, temporary).await?;
        let token = opened["token"].as_str().context("no token")?;
        let api = api.with_token(token);
        let change = json!({ "current": temporary, "new": password });
        api.post(routes::PASSWORD, &change).await?;
        Self::with(api, name, login, &password).await
    }

    /// Signs in again.
    ///
    /// # Errors
    /// What the server says.
    pub async fn sign_in(
        api: &Api,
        name: &str,
        login: &str,
        password: &str,
    ) -> anyhow::Result<Self> {
        let opened = sign_in(api, login, password).await?;
        let token = opened["token"].as_str().context("no token")?;
        Self::with(api.with_token(token), name, login, password).await
    }

    async fn with(api: Api, name: &str, login: &str, password: &str) -> anyhow::Result<Self> {
        let me = api.get(routes::ME).await?;
        Ok(Self {
            id: me["id"].as_str().context("no id")?.to_owned(),
            name: name.to_owned(),
            login: login.to_owned(),
            password: password.to_owned(),
            api,
        })
    }

    /// Makes an account with one role in an area.
    ///
    /// # Errors
    /// What the server says.
    pub async fn appoint(
        &self,
        login: &str,
        name: &str,
        role: Role,
        area: &str,
    ) -> anyhow::Result<Self> {
        let input = json!({ "login": login, "name": name, "area": area });
        let created = self.api.post(routes::USERS, &input).await?;
        let id = created["user"]["id"].as_str().context("no id")?;
        let grant = json!({ "role": role.code(), "area": area });
        self.api
            .post(&format!("{}/{id}/grants", routes::USERS), &grant)
            .await?;
        let temporary = created["temporary_password"]
            .as_str()
            .context("no password")?;
        Self::first_sign_in(&self.api, name, login, temporary).await
    }
}

impl Administrators {
    /// Makes the three by the command line, on the server's machine; gives their first passwords.
    ///
    /// # Errors
    /// What the command says.
    pub fn create(server: &Server) -> anyhow::Result<[String; 3]> {
        let mut passwords = <[String; 3]>::default();
        for (password, role) in passwords.iter_mut().zip(ADMINISTRATORS) {
            let (login, code) = (login_of(role), role.code());
            let name = role.label();
            let said = server.command(&[
                "admin", "create", "--json", "--role", code, "--login", &login, "--name", name,
            ])?;
            let said: Value = serde_json::from_str(&said)?;
            *password = said["password"].as_str().context("no password")?.to_owned();
        }
        Ok(passwords)
    }

    /// Signs the three in for the first time.
    ///
    /// # Errors
    /// What the server says.
    pub async fn sign_in(api: &Api, passwords: &[String; 3]) -> anyhow::Result<Self> {
        let [areas, security, auditor] = ADMINISTRATORS;
        let first = async |role: Role, password: &str| {
            Person::first_sign_in(api, role.label(), &login_of(role), password).await
        };
        Ok(Self {
            areas: first(areas, &passwords[0]).await?,
            security: first(security, &passwords[1]).await?,
            auditor: first(auditor, &passwords[2]).await?,
        })
    }
}

fn login_of(role: Role) -> String {
    role.code().replace('_', "-")
}

async fn sign_in(api: &Api, login: &str, password: &str) -> anyhow::Result<Value> {
    let input = json!({ "login": login, "password": password });
    api.post(routes::SIGN_IN, &input).await
}
