//! A device's folder: whose accounts are on it, each with a device id, a signing key and a data key of its own, sealed
//! under the key that the host keeps (a phone's key store, a file for the command line). Users are kept apart: nothing
//! of one opens with what belongs to another.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use doorstep_core::crypto::seal::{self, Place};
use doorstep_core::crypto::sm2::KeyPair;
use doorstep_core::ids::{DeviceId, UserId};
use doorstep_core::sync::Identity;
use doorstep_sqlite::{OpenError, SqliteStore};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::counters::Counters;
use crate::device::{Device, Options, Parts};
use crate::error::{ClientError, ClientResult, Kind};
use crate::host;
use crate::http::{Http, ServerAddress};
use crate::login::{self, Keeper, Login, Secrets, Session};
use crate::sealed::{derive, derive_seal, private_folder, write_whole};

/// The file that says whose accounts there are.
const FILE: &str = "device.json";
/// How long another process may hold the folder before we give up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The file's form.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Accounts {
    version: u32,
    accounts: Vec<Entry>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    user: UserId,
    /// `Account`, sealed, hexadecimal.
    sealed: String,
}

/// What is kept of a user's account on this device.
#[derive(Clone, Serialize, Deserialize)]
struct Account {
    server: String,
    /// Whose certificates are taken, in PEM, where it is not for the system to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authority: Option<String>,
    login: String,
    name: String,
    device: DeviceId,
    /// The device's SM2 secret, hexadecimal.
    secret: Zeroizing<String>,
    /// Key of everything the user has on this device, hexadecimal.
    data_key: Zeroizing<String>,
    server_key: String,
    token: Option<String>,
}

/// An account on this device, for a list to choose from.
#[derive(Clone, Debug, Serialize)]
pub struct AccountView {
    /// The user.
    pub user: UserId,
    /// What they sign in with.
    pub login: String,
    /// What colleagues call them.
    pub name: String,
    /// The device's id for this user.
    pub device: DeviceId,
    /// The server.
    pub server: String,
    /// Whether there is a session, perhaps ended meanwhile.
    pub signed_in: bool,
}

/// See the module. One process has it open at a time.
pub struct Home {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    key: Zeroizing<[u8; 32]>,
    accounts: Mutex<Accounts>,
    _lock: File,
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Home({})", self.inner.folder.display())
    }
}

impl Home {
    /// Opens a device's folder, or makes it.
    ///
    /// # Errors
    /// `device_in_use`; `device_file` when it is damaged; the storage's.
    pub fn open(folder: &Path, key: [u8; 32]) -> ClientResult<Self> {
        private_folder(folder)?;
        let lock = take_lock(&folder.join("lock"))?;
        let accounts = match std::fs::read(folder.join(FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| damaged())?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Accounts {
                version: 1,
                accounts: Vec::new(),
            },
            Err(error) => return Err(ClientError::storage(error)),
        };
        if accounts.version != 1 {
            return Err(ClientError::new(
                Kind::Storage,
                "device_file_newer",
                "本机数据由更新版本的应用写入，请更新应用后再打开",
            ));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                folder: folder.to_owned(),
                key: Zeroizing::new(key),
                accounts: Mutex::new(accounts),
                _lock: lock,
            }),
        })
    }

    /// The accounts, in the order they were enrolled.
    ///
    /// # Errors
    /// `device_key` when the host's key is another one.
    pub fn accounts(&self) -> ClientResult<Vec<AccountView>> {
        let users: Vec<UserId> = self
            .inner
            .held()
            .accounts
            .iter()
            .map(|entry| entry.user)
            .collect();
        users
            .into_iter()
            .map(|user| Ok(self.inner.account(user)?.view(user)))
            .collect()
    }

    /// Enrols this device for a user and signs them in.
    ///
    /// # Errors
    /// `account_exists`; `offline`; what the server says of login and password.
    pub async fn enrol(
        &self,
        server: &ServerAddress,
        secrets: &Secrets,
        name: &str,
        platform: &str,
    ) -> ClientResult<Session> {
        // As the server reads it: enrolled twice, the account's keys would be replaced, and what they seal be lost.
        let login = secrets.login.trim().to_lowercase();
        if self.accounts()?.iter().any(|held| held.login == login) {
            return Err(account_exists());
        }
        let secret = Zeroizing::new(host::random::<32>()?);
        let key = KeyPair::from_secret(&secret).map_err(ClientError::storage)?;
        let http = Http::new(server.clone(), Arc::default())?;
        let enrolled = login::enrol(&http, &key, secrets, name, platform).await?;
        let user = enrolled.session.user;
        if self.inner.account(user).is_ok() {
            return Err(account_exists());
        }
        let mut account = Account {
            server: server.to_string(),
            authority: server.authority().map(str::to_owned),
            login,
            name: String::new(),
            device: enrolled.device,
            secret: Zeroizing::new(hex::encode(*secret)),
            data_key: Zeroizing::new(hex::encode(host::random::<32>()?)),
            server_key: enrolled.server_key,
            token: Some(enrolled.session.token.clone()),
        };
        self.inner.keep(user, &account)?;
        // The name is for people's eyes: without it (the password must be changed first, say) the device works as well.
        if let Ok(me) = self.login(user, Arc::default())?.me().await {
            account.name = me.name;
            self.inner.keep(user, &account)?;
        }
        Ok(enrolled.session)
    }

    /// A user's session on this device: to sign in, to change the password, to sign out.
    ///
    /// # Errors
    /// `no_such_account`; `device_key`.
    pub fn login(&self, user: UserId, counters: Arc<Counters>) -> ClientResult<Login> {
        let account = self.inner.account(user)?;
        let server = account.address()?;
        let keeper = Arc::new(FolderKeeper {
            home: self.inner.clone(),
            user,
        });
        let who = account.identity(user)?;
        Ok(Login::new(
            Http::new(server, counters)?,
            who,
            account.token,
            keeper,
        ))
    }

    /// Names whose certificates are taken of an account's server from now on: the city has another authority.
    ///
    /// # Errors
    /// `certificate_file`; `no_such_account`; `device_key`; the storage's.
    pub fn trust(&self, user: UserId, authority: &str) -> ClientResult<()> {
        let mut account = self.inner.account(user)?;
        let server = account.address()?.trusting(authority)?;
        account.authority = server.authority().map(str::to_owned);
        self.inner.keep(user, &account)
    }

    /// The whole device, for one of its users. Works signed out, too, for everything but syncing.
    ///
    /// # Errors
    /// `no_such_account`; `device_key`; `store_*` when the user's store does not open.
    pub fn device(&self, user: UserId, options: Options) -> ClientResult<Device<SqliteStore>> {
        match self.open_device(user, options) {
            // Damage that was only met when what was unsent was put back: now it is known, and salvaged.
            Err(error) if error.code == "storage" => self.open_device(user, options),
            opened => opened,
        }
    }

    fn open_device(&self, user: UserId, options: Options) -> ClientResult<Device<SqliteStore>> {
        let account = self.inner.account(user)?;
        let data_key = account.data_key()?;
        let store_key = derive(&data_key, "store");
        let store = match SqliteStore::open(&self.inner.folder, store_key, user) {
            // What was not sent lies in a file of its own, and most of it in the register, too; the rest is fetched again.
            Err(OpenError::RegisterDamaged | OpenError::OutboxDamaged) => {
                let (store, salvaged) = SqliteStore::salvage(&self.inner.folder, store_key, user)
                    .map_err(store_error)?;
                tracing::warn!(
                    register = salvaged.register.is_some(),
                    outbox = salvaged.outbox.is_some(),
                    kept = salvaged.kept,
                    requeued = salvaged.requeued,
                    "a damaged file was set aside"
                );
                store
            }
            opened => opened.map_err(store_error)?,
        };
        let folder = store.folder().to_owned();
        let counters = Arc::<Counters>::default();
        let parts = Parts {
            store,
            login: self.login(user, counters.clone())?,
            counters,
            data_key: *data_key,
            options,
        };
        Device::new(parts, &folder)
    }

    /// Takes an account off this device, with everything of the user's on it. What was not sent is lost: ask first.
    ///
    /// # Errors
    /// The storage's.
    pub fn forget(&self, user: UserId) -> ClientResult<()> {
        self.inner.forget(user)
    }
}

fn account_exists() -> ClientError {
    ClientError::new(
        Kind::Invalid,
        "account_exists",
        "这个账号已在本机登记，请直接登录",
    )
}

fn store_error(error: OpenError) -> ClientError {
    tracing::error!(%error, "a device's store does not open");
    ClientError::new(Kind::Storage, error.code(), error.message())
}

fn damaged() -> ClientError {
    ClientError::new(
        Kind::Storage,
        "device_file",
        "设备登记文件已损坏：请不要删除数据，联系管理员协助取回未上传的内容",
    )
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Accounts> {
        self.accounts
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn place(user: &UserId) -> Place<'_> {
        Place {
            table: "accounts",
            row: user.as_bytes(),
            column: "account",
            version: 1,
        }
    }

    fn account(&self, user: UserId) -> ClientResult<Account> {
        let held = self.held();
        let entry = held
            .accounts
            .iter()
            .find(|entry| entry.user == user)
            .ok_or_else(|| {
                ClientError::new(
                    Kind::Invalid,
                    "no_such_account",
                    "本机没有这个账号，请先登记设备",
                )
            })?;
        let sealed = hex::decode(&entry.sealed).map_err(|_| damaged())?;
        let plain = seal::open(
            &derive_seal(&self.key, "accounts"),
            Self::place(&user),
            &sealed,
        );
        let plain = Zeroizing::new(plain.map_err(|_| {
            ClientError::new(
                Kind::Storage,
                "device_key",
                "本机密钥与数据不符，无法打开；数据没有被删除，请恢复原来的密钥文件",
            )
        })?);
        serde_json::from_slice(&plain).map_err(|_| damaged())
    }

    /// Writes an account down, replacing the user's former one.
    fn keep(&self, user: UserId, account: &Account) -> ClientResult<()> {
        let plain = Zeroizing::new(serde_json::to_vec(account).map_err(ClientError::storage)?);
        let key = derive_seal(&self.key, "accounts");
        let sealed = seal::seal(&key, Self::place(&user), host::random()?, &plain)
            .map_err(ClientError::storage)?;
        let entry = Entry {
            user,
            sealed: hex::encode(sealed),
        };
        self.change(
            |accounts| match accounts.iter_mut().find(|held| held.user == user) {
                Some(held) => *held = entry,
                None => accounts.push(entry),
            },
        )
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Entry>)) -> ClientResult<()> {
        let mut held = self.held();
        let mut accounts = held.clone();
        change(&mut accounts.accounts);
        let bytes = serde_json::to_vec_pretty(&accounts).map_err(ClientError::storage)?;
        write_whole(&self.folder.join(FILE), &bytes)?;
        *held = accounts;
        Ok(())
    }

    /// The keys go first: what is left of the folder after that opens with nothing.
    fn forget(&self, user: UserId) -> ClientResult<()> {
        self.change(|accounts| accounts.retain(|entry| entry.user != user))?;
        self.empty(user)
    }

    fn empty(&self, user: UserId) -> ClientResult<()> {
        match std::fs::remove_dir_all(self.folder.join("users").join(user.to_string())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ClientError::storage(error))
            }
            _ => Ok(()),
        }
    }
}

impl Account {
    fn address(&self) -> ClientResult<ServerAddress> {
        let address = ServerAddress::parse(&self.server)?;
        match &self.authority {
            Some(authority) => address.trusting(authority),
            None => Ok(address),
        }
    }

    fn view(self, user: UserId) -> AccountView {
        AccountView {
            user,
            login: self.login,
            name: self.name,
            device: self.device,
            server: self.server,
            signed_in: self.token.is_some(),
        }
    }

    fn identity(&self, user: UserId) -> ClientResult<Identity> {
        let secret = Zeroizing::new(bytes32(&self.secret)?);
        Ok(Identity {
            device: self.device,
            user,
            key: KeyPair::from_secret(&secret).map_err(|_| damaged())?,
        })
    }

    fn data_key(&self) -> ClientResult<Zeroizing<[u8; 32]>> {
        bytes32(&self.data_key).map(Zeroizing::new)
    }
}

fn bytes32(text: &str) -> ClientResult<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| damaged())?;
    Ok(bytes)
}

/// The kernel lets go of the lock however a process ends.
fn take_lock(path: &Path) -> ClientResult<File> {
    let file = File::create(path).map_err(ClientError::storage)?;
    let begun = Instant::now();
    while file.try_lock().is_err() {
        if begun.elapsed() > PATIENCE {
            return Err(ClientError::new(
                Kind::Storage,
                "device_in_use",
                "这台设备的数据正被另一个程序使用，请等它结束或关闭它",
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(file)
}

/// Keeps a user's token in the folder.
struct FolderKeeper {
    home: Arc<Inner>,
    user: UserId,
}

impl Keeper for FolderKeeper {
    fn token(&self, token: Option<&str>) -> ClientResult<()> {
        let mut account = self.home.account(self.user)?;
        account.token = token.map(str::to_owned);
        self.home.keep(self.user, &account)
    }

    fn emptied(&self) -> ClientResult<()> {
        self.home.empty(self.user)
    }

    fn wiped(&self) -> ClientResult<()> {
        self.home.forget(self.user)
    }
}
