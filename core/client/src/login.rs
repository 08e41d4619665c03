//! Enrolment and sign-in: the password proves the user, an SM2 signature over the server's nonce proves the device.
//! Knows no file: who keeps the token is told of a new one.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::ids::{AreaCode, DeviceId, UserId};
use doorstep_core::sync::Identity;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::backoff::Backoff;
use crate::error::{ClientError, ClientResult, Kind};
use crate::host;
use crate::http::Http;
use crate::routes;

/// What a device signs to enrol: this, the nonce, its public key.
const ENROL: &[u8] = b"doorstep-enrol-v1";
/// What a device signs to sign in: this, the nonce, its id.
const SIGN_IN: &[u8] = b"doorstep-sign-in-v1";
/// What a device signs to say that it wiped everything: this, the nonce, its id.
const WIPED: &[u8] = b"doorstep-wiped-v1";

/// What a user types to enrol or sign in.
#[derive(Clone)]
pub struct Secrets {
    /// The login.
    pub login: String,
    /// The password.
    pub password: String,
    /// Code of the second factor, where one is set up.
    pub code: Option<String>,
}

/// An enrolled device's first answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Enrolled {
    /// The device from now on.
    pub device: DeviceId,
    /// The server's SM2 key, hexadecimal.
    pub server_key: String,
    /// The session.
    #[serde(flatten)]
    pub session: Session,
}

/// A session.
#[derive(Clone, Debug, Deserialize)]
pub struct Session {
    /// Its token.
    pub token: String,
    /// Whose it is.
    pub user: UserId,
    /// The password must be changed before anything else.
    pub must_change_password: bool,
}

/// The user, as the server knows them.
#[derive(Clone, Debug, Deserialize)]
pub struct Me {
    /// The name that colleagues read.
    pub name: String,
    /// The area they belong to.
    pub area: AreaCode,
}

#[derive(Deserialize)]
struct Challenge {
    nonce: String,
}

/// The nonce and the signature over it, both hexadecimal.
async fn answer(
    http: &Http,
    key: &KeyPair,
    label: &[u8],
    subject: &[u8],
) -> ClientResult<(String, String)> {
    let challenge: Challenge = http
        .json(http.request(Method::POST, routes::CHALLENGES, None))
        .await?;
    let nonce = hex::decode(&challenge.nonce).map_err(|_| ClientError::protocol("nonce"))?;
    // Only what this protocol signs is signed: a fixed length keeps a nonce from passing for another message.
    if nonce.len() != 32 {
        return Err(ClientError::protocol("nonce"));
    }
    let signature = key.sign(&[label, &nonce, subject].concat());
    Ok((challenge.nonce, hex::encode(signature)))
}

/// Enrols a new device for a user.
///
/// # Errors
/// `offline`; what the server says, such as `wrong_password` or `locked`.
pub(crate) async fn enrol(
    http: &Http,
    key: &KeyPair,
    secrets: &Secrets,
    name: &str,
    platform: &str,
) -> ClientResult<Enrolled> {
    let public = key.public();
    let (nonce, signature) = answer(http, key, ENROL, public.as_bytes()).await?;
    let body = json!({
        "login": secrets.login,
        "password": secrets.password,
        "code": secrets.code,
        "public_key": hex::encode(public.as_bytes()),
        "nonce": nonce,
        "signature": signature,
        "name": name,
        "platform": platform,
    });
    http.json(
        http.request(Method::POST, routes::DEVICES, None)
            .json(&body),
    )
    .await
}

/// What a device is signed in with: its key, and the password or its last token.
enum Proof<'a> {
    Password(&'a str, Option<&'a str>),
    Token(&'a str),
}

async fn sign_in(http: &Http, who: &Identity, proof: Proof<'_>) -> ClientResult<Session> {
    let (nonce, signature) = answer(http, &who.key, SIGN_IN, who.device.as_bytes()).await?;
    let mut body = json!({ "device": who.device, "nonce": nonce, "signature": signature });
    match proof {
        Proof::Password(password, code) => {
            body["password"] = password.into();
            body["code"] = code.into();
        }
        Proof::Token(token) => body["token"] = token.into(),
    }
    http.json(
        http.request(Method::POST, routes::SIGN_IN, None)
            .json(&body),
    )
    .await
}

/// Who keeps what signing in gives: a device's folder, or nobody in a test.
pub trait Keeper: Send + Sync {
    /// The token changed; `None` after signing out.
    ///
    /// # Errors
    /// The storage's.
    fn token(&self, token: Option<&str>) -> ClientResult<()>;
    /// Everything of this user's goes but the keys.
    ///
    /// # Errors
    /// The storage's.
    fn emptied(&self) -> ClientResult<()>;
    /// Everything of this user's was wiped: keys and folder go too.
    ///
    /// # Errors
    /// The storage's.
    fn wiped(&self) -> ClientResult<()>;
}

/// How often, and after which waits, the server is told of a wiping where no whole device is open.
const TRIES: u32 = 3;
const WAIT_LEAST: Duration = Duration::from_secs(1);
const WAIT_MOST: Duration = Duration::from_secs(4);
/// What the server answers to the key of a device that is to be wiped.
pub(crate) const WIPE_ORDERED: &str = "device_wiped";

/// Keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct KeepNothing;

impl Keeper for KeepNothing {
    fn token(&self, _: Option<&str>) -> ClientResult<()> {
        Ok(())
    }
    fn emptied(&self) -> ClientResult<()> {
        Ok(())
    }
    fn wiped(&self) -> ClientResult<()> {
        Ok(())
    }
}

/// A user's session on a device.
pub struct Login {
    http: Http,
    who: Identity,
    token: Mutex<Option<String>>,
    keeper: Arc<dyn Keeper>,
}

impl Login {
    /// With the token last kept.
    pub fn new(http: Http, who: Identity, token: Option<String>, keeper: Arc<dyn Keeper>) -> Self {
        Self {
            http,
            who,
            token: Mutex::new(token),
            keeper,
        }
    }

    /// Device, user and key.
    #[must_use]
    pub fn who(&self) -> &Identity {
        &self.who
    }

    /// What makes requests.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    fn held(&self) -> MutexGuard<'_, Option<String>> {
        self.token
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The token, while signed in.
    ///
    /// # Errors
    /// `signed_out`.
    pub fn token(&self) -> ClientResult<String> {
        self.held().clone().ok_or_else(|| {
            ClientError::new(
                Kind::SignIn,
                "signed_out",
                "请先登录，再同步；未上传的内容仍保存在本机",
            )
        })
    }

    fn take(&self, session: &Session) -> ClientResult<()> {
        self.keeper.token(Some(&session.token))?;
        *self.held() = Some(session.token.clone());
        Ok(())
    }

    /// Signs in with the password. A device that is to be wiped is wiped by it, too: signed out it makes no other contact.
    /// Where the whole device is open, [`crate::Device::sign_in`] is the one to call.
    ///
    /// # Errors
    /// `wiped`; `offline`; what the server says.
    pub async fn sign_in(&self, password: &str, code: Option<&str>) -> ClientResult<Session> {
        match self.prove(password, code).await {
            Err(error) if error.code == WIPE_ORDERED => {
                self.keeper.emptied()?;
                self.say_wiped(&mut Backoff::new(WAIT_LEAST, WAIT_MOST), TRIES)
                    .await;
                self.wiped()?;
                Err(ClientError::wiped())
            }
            signed => signed,
        }
    }

    /// Signs in with the password, and does nothing about an order to wipe.
    pub(crate) async fn prove(&self, password: &str, code: Option<&str>) -> ClientResult<Session> {
        let session = sign_in(&self.http, &self.who, Proof::Password(password, code)).await?;
        self.take(&session)?;
        Ok(session)
    }

    /// Renews an ended session by the device's key and its last token.
    ///
    /// # Errors
    /// `password_required` when the password was given too long ago; `device_revoked`, `device_wiped`; `offline`.
    pub async fn renew(&self) -> ClientResult<()> {
        let last = self.token()?;
        let session = sign_in(&self.http, &self.who, Proof::Token(&last)).await?;
        self.take(&session)
    }

    /// Signs out: the token is void on the server, if it can be reached, and forgotten here in any case.
    ///
    /// # Errors
    /// The storage's.
    pub async fn sign_out(&self) -> ClientResult<()> {
        let Ok(token) = self.token() else {
            return Ok(());
        };
        self.keeper.token(None)?;
        *self.held() = None;
        let request = self
            .http
            .request(Method::POST, routes::SIGN_OUT, Some(&token));
        if let Err(error) = self.http.send(request).await {
            tracing::debug!(code = %error.code, "the server was not told of signing out");
        }
        Ok(())
    }

    /// Changes the password.
    ///
    /// # Errors
    /// `offline`; what the server says of either password.
    pub async fn change_password(&self, current: &str, new: &str) -> ClientResult<()> {
        let body = json!({ "current": current, "new": new });
        let token = self.token()?;
        let request = self
            .http
            .request(Method::POST, routes::PASSWORD, Some(&token))
            .json(&body);
        self.http.send(request).await.map(|_| ())
    }

    /// The user, as the server knows them now.
    ///
    /// # Errors
    /// `offline`; what the server says.
    pub async fn me(&self) -> ClientResult<Me> {
        let token = self.token()?;
        self.http
            .json(self.http.request(Method::GET, routes::ME, Some(&token)))
            .await
    }

    /// Tells the server that nothing of the user's is left on this device. The key that proves who says so is about to
    /// go, so it is tried some times.
    pub(crate) async fn say_wiped(&self, backoff: &mut Backoff, tries: u32) {
        for left in (0..tries.max(1)).rev() {
            match self.confirm_wiped().await {
                Ok(()) => return,
                Err(error) if error.kind == Kind::Offline && left > 0 => {
                    let chance = host::random().map_or(0, u32::from_be_bytes);
                    tokio::time::sleep(backoff.next(chance)).await;
                }
                Err(error) => {
                    tracing::warn!(code = %error.code, "the server was not told of the wiping");
                    return;
                }
            }
        }
    }

    /// No session is needed: the key proves it.
    async fn confirm_wiped(&self) -> ClientResult<()> {
        let (nonce, signature) =
            answer(&self.http, &self.who.key, WIPED, self.who.device.as_bytes()).await?;
        let body = json!({ "device": self.who.device, "nonce": nonce, "signature": signature });
        let request = self.http.request(Method::POST, routes::WIPED, None);
        self.http.send(request.json(&body)).await.map(|_| ())
    }

    /// Everything was wiped.
    pub(crate) fn wiped(&self) -> ClientResult<()> {
        *self.held() = None;
        self.keeper.wiped()
    }
}
