//! A phone: the client's whole device in a folder of its own, with an encrypted store on disk, taken offline and back.
//! Knows no screen; what it waits for, it waits for by the device's own events.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use doorstep_client::{
    ClientResult, Counters, Device, Event, Home, Options, Parts, Secrets, ServerAddress,
};
use doorstep_core::crypto::sm3;
use doorstep_core::ids::{AreaCode, RecordId, ScopeId, UserId};
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::Cursor;
use doorstep_core::store::memory::MemoryStore;
use doorstep_core::store::{DeviceStore, ListQuery, Listed};
use doorstep_core::value::{Fields, Value};
use doorstep_sqlite::SqliteStore;
use tokio::sync::{broadcast::error::RecvError, oneshot};
use tokio::task::JoinHandle;

use super::{Person, tap};

/// How long anything that is awaited may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
pub struct Phone {
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub owner: Person,
    /// The device.
    pub device: Device<SqliteStore>,
    /// The device's folder.
    pub folder: PathBuf,
    key: [u8; 32],
    online: Option<(oneshot::Sender<()>, JoinHandle<ClientResult<()>>)>,
    home: Home,
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Phone({})", self.name)
    }
}

/// Enrols a home for a person.
///
/// # Errors
/// What the server says.
pub async fn enrol(
    home: &Home,
    server: &str,
    owner: &Person,
    name: &str,
) -> anyhow::Result<UserId> {
    let secrets = Secrets {
        login: owner.login.clone(),
        password: owner.password.clone(),
        code: None,
    };
    let session = home
        .enrol(&ServerAddress::parse(server)?, &secrets, name, "cli")
        .await?;
    Ok(session.user)
}

/// A device whose store is in memory: for work that is not what is measured.
///
/// # Errors
/// What the server says.
pub async fn light(
    server: &str,
    owner: &Person,
    folder: &Path,
) -> anyhow::Result<Device<MemoryStore>> {
    let home = Home::open(folder, rand::random())?;
    let user = enrol(&home, server, owner, "light").await?;
    let counters = Arc::<Counters>::default();
    let parts = Parts {
        store: MemoryStore::default(),
        login: home.login(user, counters.clone())?,
        counters,
        data_key: rand::random(),
        options: options(),
    };
    Ok(Device::new(parts, folder)?)
}

/// Waits until every phone has sent everything and stands where the server says the area's log ends. Nobody edits
/// meanwhile. Gives that end.
///
/// # Errors
/// When it takes longer than `PATIENCE`.
pub async fn level(server: &str, phones: &mut [Phone], area: AreaCode) -> anyhow::Result<Cursor> {
    for phone in phones.iter() {
        phone
            .until("全部上传", |phone| Ok(phone.unsent()? == (0, 0)))
            .await?;
    }
    let first = phones.first_mut().context("no phone")?;
    // A device has one connection at a time: it is off while someone asks in its name.
    let online = first.online.is_some();
    first.go_offline().await?;
    let end = tap::end_of(server, &first.device, ScopeId::Area(area)).await?;
    if online {
        first.go_online();
    }
    for phone in phones.iter() {
        phone
            .until("与服务器一致", |phone| {
                Ok(phone.cursor(area)?.seq >= end.seq)
            })
            .await?;
    }
    Ok(end)
}

/// Comes back fast: nobody waits for a phone's patience here.
#[must_use]
pub fn options() -> Options {
    Options {
        backoff_least: Duration::from_millis(50),
        backoff_most: Duration::from_millis(500),
        tries: 40,
        ..Options::default()
    }
}

impl Phone {
    /// Enrols a new phone for a person.
    ///
    /// # Errors
    /// What the server says.
    pub async fn enrol(
        server: &str,
        owner: &Person,
        name: &str,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let key = rand::random();
        let home = Home::open(folder, key)?;
        let user = enrol(&home, server, owner, name).await?;
        let device = home.device(user, options())?;
        Ok(Self {
            name: name.to_owned(),
            owner: owner.clone(),
            device,
            folder: folder.to_owned(),
            key,
            online: None,
            home,
        })
    }

    /// Closes the app and opens it again: folder, keys, store.
    ///
    /// # Errors
    /// The storage's.
    pub fn reopen(self) -> anyhow::Result<Self> {
        let Self {
            name,
            owner,
            device,
            folder,
            key,
            home,
            ..
        } = self;
        let user = device.who().user;
        drop((device, home));
        let home = Home::open(&folder, key)?;
        let device = home.device(user, options())?;
        Ok(Self {
            name,
            owner,
            device,
            folder,
            key,
            online: None,
            home,
        })
    }

    /// Gets a signal: stays connected from now on.
    pub fn go_online(&mut self) {
        if self.online.is_none() {
            let (stop, stopped) = oneshot::channel::<()>();
            let device = self.device.clone();
            let running =
                tokio::spawn(
                    async move { device.run(async { stopped.await.unwrap_or(()) }).await },
                );
            self.online = Some((stop, running));
        }
    }

    /// Loses the signal.
    ///
    /// # Errors
    /// What ended the connection before, if it was not this.
    pub async fn go_offline(&mut self) -> anyhow::Result<()> {
        if let Some((stop, running)) = self.online.take() {
            stop.send(()).ok();
            running.await??;
        }
        Ok(())
    }

    /// Waits until something holds on this phone: looked at now, and again at each of its events.
    ///
    /// # Errors
    /// When it doesn't hold within `PATIENCE`, or the connection has ended for good.
    pub async fn until(
        &self,
        what: &str,
        holds: impl Fn(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut events = self.device.events();
        let waiting = async {
            while !holds(self)? {
                match events.recv().await {
                    Ok(Event::Disconnected {
                        error,
                        retry_in: None,
                    }) => return Err(anyhow!(error)),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.map_err(|_| anyhow!("{} 没有等到：{what}", self.name))?
    }

    /// Edits one field of a record.
    ///
    /// # Errors
    /// What the device says.
    pub fn set(&self, record: RecordId, key: &str, value: impl Into<Value>) -> anyhow::Result<()> {
        let fields = Fields::from([(key.to_owned(), value.into())]);
        self.device.update(record, &fields)?;
        Ok(())
    }

    /// A field's winning value.
    ///
    /// # Errors
    /// When the record is not here.
    pub fn value(&self, record: RecordId, key: &str) -> anyhow::Result<Value> {
        Ok(self
            .device
            .record(record)?
            .registers
            .get(key)
            .cloned()
            .unwrap_or(Value::Null))
    }

    /// A field's winning value as text; empty when there is none.
    ///
    /// # Errors
    /// When the record is not here.
    pub fn text(&self, record: RecordId, key: &str) -> anyhow::Result<String> {
        Ok(self
            .value(record, key)?
            .as_text()
            .unwrap_or_default()
            .to_owned())
    }

    /// Records of a type, in the list's order.
    ///
    /// # Errors
    /// The storage's.
    pub fn list(&self, record_type: &str, text: &str, limit: usize) -> anyhow::Result<Vec<Listed>> {
        Ok(self.device.list(&ListQuery {
            record_type: Some(record_type.to_owned()),
            text: text.to_owned(),
            limit,
            ..ListQuery::default()
        })?)
    }

    /// How many records of a type are here, cancelled ones included.
    ///
    /// # Errors
    /// The storage's.
    pub fn count(&self, record_type: Option<&str>) -> anyhow::Result<u64> {
        Ok(self.device.count(record_type)?)
    }

    /// What waits to be sent: changes and events, and photos.
    ///
    /// # Errors
    /// The storage's.
    pub fn unsent(&self) -> anyhow::Result<(u64, u64)> {
        let unsent = self.device.unsent()?;
        Ok((unsent.items, unsent.blobs))
    }

    /// Where this phone stands in an area's log.
    ///
    /// # Errors
    /// When it does not hold the area.
    pub fn cursor(&self, area: AreaCode) -> anyhow::Result<Cursor> {
        let scopes = self.device.read(DeviceStore::scopes)?;
        let held = scopes
            .into_iter()
            .find(|(scope, _)| *scope == ScopeId::Area(area));
        Ok(held.context("the area is not here")?.1)
    }

    /// A digest over everything that is shown: every record's type and values, whatever way they came.
    ///
    /// # Errors
    /// The storage's.
    pub fn contents(&self) -> anyhow::Result<String> {
        let query = ListQuery {
            cancelled: true,
            limit: usize::MAX >> 1,
            ..ListQuery::default()
        };
        let all: BTreeMap<RecordId, (String, Fields)> = self
            .device
            .list(&query)?
            .into_iter()
            .map(|listed| (listed.id, (listed.record_type, listed.fields)))
            .collect();
        Ok(hex::encode(&sm3::digest(&[&codec::to_bytes(&all)])[..8]))
    }
}
