//! The two files as one store: opening, committing, salvaging, wiping. Knows the order of the commits, and leaves the
//! tables to `register` and `outbox`.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use doorstep_core::ids::{ChangeHash, EventId, RecordId, ScopeId, UserId};
use doorstep_core::protocol::codec;
use doorstep_core::protocol::frames::{Cursor, EventEntry, StateEntry, Unsent};
use doorstep_core::store::{
    DeviceStore, ListQuery, Listed, OutboxItem, RefusedItem, SavedEnvelope, StoredChange,
    StoredRecord, WriteBatch,
};
use doorstep_core::sync::{DeviceError, requeue};
use rusqlite::Connection;

use crate::error::{OpenError, StoreError, is_damage};
use crate::file::{self, FileError, Opened};
use crate::outbox::HalfRow;
use crate::register::Half;
use crate::{list, outbox, register, rescue};

const REGISTER: &str = "register.db";
const OUTBOX: &str = "outbox.db";
/// Lies beside them once damage was met.
const SUSPECT: &str = "damage.met";

/// How many halves the outbox holds before the register waits for the disk.
const MOST_HALVES: i64 = 32;

/// A user's store on this device. One process, one thread at a time.
#[derive(Debug)]
pub struct SqliteStore {
    folder: PathBuf,
    register: Connection,
    outbox: Connection,
    /// The outbox has committed a batch whose other half the register could not take (its disk was full, say).
    behind: Cell<bool>,
    /// The number of the last half that the register keeps through a power cut.
    durable: Cell<i64>,
    wiped: bool,
    requeued: usize,
}

/// What salvaging did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Where the damaged register was set aside, still encrypted; `None` when it was whole.
    pub register: Option<PathBuf>,
    /// Where the damaged outbox was set aside, still encrypted; `None` when it was whole.
    pub outbox: Option<PathBuf>,
    /// How many items were read from the damaged outbox.
    pub kept: usize,
    /// How many items were queued again from the register.
    pub requeued: usize,
}

impl SqliteStore {
    /// Opens a user's store under the app's data folder, or makes it. The user's files lie in `users/<uuid>/`, so that
    /// users of one phone are kept apart. After opening, call `doorstep_core::sync::edit::recover`.
    ///
    /// # Errors
    /// See `OpenError`; nothing is changed then.
    pub fn open(dir: &Path, key: [u8; 32], user: UserId) -> Result<Self, OpenError> {
        let folder = folder_of(dir, user);
        std::fs::create_dir_all(&folder)?;
        rescue::settle(&folder, OUTBOX)?;
        let outbox = file::open(&folder.join(OUTBOX), &key, outbox::STEPS);
        let register = file::open(&folder.join(REGISTER), &key, register::STEPS);
        let (outbox, register) = match (outbox, register) {
            (Ok(outbox), Ok(register)) => (outbox, register),
            (outbox, register) => return Err(why_not(&folder, outbox, register)),
        };
        let mut store = Self {
            folder,
            register: register.connection,
            outbox: outbox.connection,
            behind: Cell::new(false),
            durable: Cell::new(0),
            wiped: false,
            requeued: 0,
        };
        // It is small, and nowhere else in the world: whether it is whole is known before anything is built on it.
        if !file::is_whole(&store.outbox).map_err(OpenError::Sqlite)? {
            return Err(OpenError::OutboxDamaged);
        }
        let ready = store
            .catch_up()
            .and_then(|()| register::project_again(&store.register))
            .and_then(|()| store.make_up(user));
        match ready {
            Ok(()) if !store.is_above_suspicion()? => Err(OpenError::RegisterDamaged),
            Ok(()) => {
                // What can't be removed now is removed when it opens again.
                let _ = rescue::tidy(&store.folder);
                Ok(store)
            }
            Err(StoreError::Sqlite(error)) if !is_damage(&error) => Err(OpenError::Sqlite(error)),
            Err(_) => Err(OpenError::RegisterDamaged),
        }
    }

    /// Opens a store whose files may be damaged. A damaged register is set aside, still encrypted, and an empty one takes
    /// its place: `doorstep_core::sync::edit::recover` puts back what was not sent, and the next sync fetches the rest.
    /// Of a damaged outbox everything that can be read goes into a new one, and what of the rest the register holds is
    /// queued again.
    ///
    /// # Errors
    /// See `OpenError`.
    pub fn salvage(dir: &Path, key: [u8; 32], user: UserId) -> Result<(Self, Salvaged), OpenError> {
        let mut done = Salvaged::default();
        let folder = folder_of(dir, user);
        for _ in 0..3 {
            match Self::open(dir, key, user) {
                Ok(store) => match store.check() {
                    Ok(true) => {
                        done.requeued = store.requeued;
                        return Ok((store, done));
                    }
                    Err(StoreError::Sqlite(error)) if !is_damage(&error) => {
                        return Err(OpenError::Sqlite(error));
                    }
                    _ => drop(store),
                },
                Err(OpenError::OutboxDamaged) => {
                    let rescued = rescue::outbox(&folder, OUTBOX, &key)?;
                    (done.outbox, done.kept) = (Some(rescued.set_aside), rescued.items);
                    continue;
                }
                Err(OpenError::RegisterDamaged) => {}
                Err(error) => return Err(error),
            }
            done.register = Some(rescue::set_aside(&folder, REGISTER)?);
        }
        Err(OpenError::RegisterDamaged)
    }

    /// How many items were queued again from the register on opening, because the outbox was not there or not whole.
    #[must_use]
    pub fn requeued(&self) -> usize {
        self.requeued
    }

    /// The damaged files that were set aside in this user's folder, for someone who looks after devices: for a week, and
    /// registers no longer than until something is to be forgotten.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn set_aside(&self) -> Result<Vec<PathBuf>, StoreError> {
        Ok(rescue::kept(&self.folder)?)
    }

    /// Reads every page of the register, and says whether it is whole. Takes a second or so for a full one: for a phone at
    /// rest, and before and after trouble. Damage that is found leaves word: the next opening says so, and salvages.
    ///
    /// # Errors
    /// SQLite's; damage is an answer, not an error.
    pub fn check(&self) -> Result<bool, StoreError> {
        let whole = file::is_whole(&self.register)?;
        if !whole {
            self.leave_word();
        }
        Ok(whole)
    }

    /// The folder of this user's files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes the halves that the outbox holds and the register does not.
    fn catch_up(&self) -> Result<(), StoreError> {
        file::set_durable(&self.register, true)?;
        let newest = outbox::half_number(&self.outbox)?;
        match register::taken(&self.register)? {
            // A register that was only made now has nothing to build on: the halves are not for it, the items are.
            None => self.take(&Half::default(), newest)?,
            Some(taken) => {
                for (number, bytes) in outbox::halves(&self.outbox, taken)? {
                    self.take(&register::unpack(&bytes, "half")?, number)?;
                }
            }
        }
        // What was taken before may be in the system's memory only: its halves stay until the next durable commit.
        let oldest = outbox::halves(&self.outbox, 0)?
            .first()
            .map(|(number, _)| *number);
        self.durable.set(oldest.map_or(newest, |oldest| oldest - 1));
        self.behind.set(false);
        Ok(())
    }

    fn take(&self, half: &Half, number: i64) -> Result<(), StoreError> {
        let transaction = self.register.unchecked_transaction()?;
        register::write(&transaction, half, Some(number))?;
        Ok(transaction.commit()?)
    }

    /// A register that has taken more than the outbox ever held shows that the outbox is a new one: what was not
    /// confirmed is queued again, and then the numbers go on, so that a crash in between does the same again.
    fn make_up(&mut self, user: UserId) -> Result<(), StoreError> {
        let taken = register::taken(&self.register)?.unwrap_or(0);
        if taken <= outbox::half_number(&self.outbox)? {
            return Ok(());
        }
        self.requeued = requeue(self, user).map_err(|error| match error {
            DeviceError::Store(error) => error,
            _ => StoreError::Row("change"),
        })?;
        outbox::pass_half_number(&self.outbox, taken)?;
        self.durable.set(taken);
        Ok(())
    }

    /// Nothing is read from a register that is behind.
    fn register(&self) -> Result<&Connection, StoreError> {
        if self.behind.get() {
            self.catch_up()?;
        }
        Ok(&self.register)
    }

    /// Leaves word of damage that a read or a write met: the next opening looks at every page, where it else would not.
    fn noted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result
            && error.is_damage()
        {
            self.leave_word();
        }
        result
    }

    fn leave_word(&self) {
        // A disk that does not take it leaves the damage to be met again.
        let _ = std::fs::write(self.folder.join(SUSPECT), []);
    }

    /// Reads the register.
    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.noted(self.register().and_then(read))
    }

    /// Whether the register may be used: one that damage was met in must be whole.
    fn is_above_suspicion(&self) -> Result<bool, OpenError> {
        let suspect = self.folder.join(SUSPECT);
        if !suspect.exists() {
            return Ok(true);
        }
        let whole = file::is_whole(&self.register).map_err(OpenError::Sqlite)?;
        if whole {
            std::fs::remove_file(suspect)?;
        }
        Ok(whole)
    }

    /// Keeps a batch whole, in both files.
    fn keep(&mut self, mut batch: WriteBatch) -> Result<(), StoreError> {
        if self.wiped {
            return Err(StoreError::Wiped);
        }
        if self.behind.get() {
            self.catch_up()?;
            return Err(StoreError::Stale);
        }
        let half = Half::take(&mut batch);
        let in_both = outbox::concerns(&batch) && !half.is_empty();
        let forgets = half.forgets() || outbox::forgets(&batch);
        let newest = outbox::half_number(&self.outbox)?;
        let number = if in_both { newest + 1 } else { newest };
        // The register waits for the disk only where the outbox does not hold the same, and now and then so that the
        // halves there stay few. What it loses in a power cut are then its last commits, all of them in the outbox.
        let durable = !in_both || half.forgets() || number - self.durable.get() > MOST_HALVES;
        file::set_durable(&self.register, durable)?;
        // The register's half is written first and committed last: what can fail there fails before anything is kept.
        let in_register = self.register.unchecked_transaction()?;
        register::write(&in_register, &half, in_both.then_some(number))?;
        if outbox::concerns(&batch) {
            let in_outbox = self.outbox.unchecked_transaction()?;
            let row = in_both.then(|| HalfRow {
                number,
                bytes: codec::to_bytes(&half),
                durable: self.durable.get(),
            });
            outbox::write(&in_outbox, &batch, row)?;
            in_outbox.commit()?;
        }
        if let Err(error) = in_register.commit() {
            // Alone, nothing was kept. With the outbox's half kept, the batch is: it is shown as soon as it can be.
            self.behind.set(in_both);
            return Err(error.into());
        }
        if durable && !half.is_empty() {
            self.durable.set(number);
        }
        if half.forgets() {
            // The batch is kept whether or not this succeeds; the next one takes the halves out again.
            let _ = outbox::forget_halves(&self.outbox);
            let _ = rescue::forget(&self.folder, REGISTER);
        }
        if forgets {
            // Last, and in both: what was made here went through both.
            let _ = file::empty_log(&self.outbox);
            let _ = file::empty_log(&self.register);
        }
        Ok(())
    }
}

impl DeviceStore for SqliteStore {
    type Error = StoreError;

    fn record(&self, id: RecordId) -> Result<Option<StoredRecord>, StoreError> {
        self.read(|held| register::record(held, id))
    }

    fn changes(&self, id: RecordId) -> Result<Vec<StoredChange>, StoreError> {
        self.read(|held| register::changes(held, id))
    }

    fn scopes_of(&self, id: RecordId) -> Result<Vec<ScopeId>, StoreError> {
        self.read(|held| register::scopes_of(held, id))
    }

    fn scopes(&self) -> Result<Vec<(ScopeId, Cursor)>, StoreError> {
        self.read(register::scopes)
    }

    fn members(&self, scope: &ScopeId) -> Result<Vec<(RecordId, Vec<ChangeHash>)>, StoreError> {
        self.read(|held| register::members(held, scope))
    }

    fn state(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.read(|held| register::state(held, key))
    }

    fn states(&self, prefix: &str) -> Result<Vec<StateEntry>, StoreError> {
        self.read(|held| register::states(held, prefix))
    }

    fn event(&self, id: EventId) -> Result<Option<EventEntry>, StoreError> {
        self.read(|held| register::event(held, id))
    }

    fn events_about(&self, record: RecordId) -> Result<Vec<EventEntry>, StoreError> {
        self.read(|held| register::events_about(held, record))
    }

    fn events(&self) -> Result<Vec<EventEntry>, StoreError> {
        self.read(register::events)
    }

    fn queued(&self, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
        self.noted(outbox::queued(&self.outbox, limit))
    }

    fn outbox(&self) -> Result<Vec<OutboxItem>, StoreError> {
        self.noted(outbox::outbox(&self.outbox))
    }

    fn unsent(&self) -> Result<Unsent, StoreError> {
        self.noted(outbox::unsent(&self.outbox))
    }

    fn envelopes(&self) -> Result<Vec<SavedEnvelope>, StoreError> {
        self.noted(outbox::envelopes(&self.outbox))
    }

    fn last_envelope(&self) -> Result<u64, StoreError> {
        self.noted(outbox::last_envelope(&self.outbox))
    }

    fn refused(&self) -> Result<Vec<RefusedItem>, StoreError> {
        self.noted(outbox::refused(&self.outbox))
    }

    fn list(&self, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        self.read(|held| list::list(held, query))
    }

    fn count(&self, record_type: Option<&str>) -> Result<u64, StoreError> {
        self.read(|held| list::count(held, record_type))
    }

    fn commit(&mut self, batch: WriteBatch) -> Result<(), StoreError> {
        let kept = self.keep(batch);
        self.noted(kept)
    }

    fn wipe(&mut self) -> Result<(), StoreError> {
        // Closing comes before deleting: SQLite would write its log back into the file.
        self.wiped = true;
        self.behind.set(false);
        self.register = file::empty(register::STEPS)?;
        self.outbox = file::empty(outbox::STEPS)?;
        std::fs::remove_dir_all(&self.folder)?;
        Ok(())
    }
}

/// Says what it means that not both files opened, and takes away one that was only made now.
fn why_not(
    folder: &Path,
    outbox: Result<Opened, FileError>,
    register: Result<Opened, FileError>,
) -> OpenError {
    let mut old = false;
    for (name, opened) in [(OUTBOX, &outbox), (REGISTER, &register)] {
        match opened {
            Ok(opened) if opened.new => {
                for file in file::with_side_files(&folder.join(name)) {
                    let _ = std::fs::remove_file(file);
                }
            }
            Ok(_) => old = true,
            Err(_) => {}
        }
    }
    match (outbox, register) {
        (Err(FileError::Other(error)), _) | (_, Err(FileError::Other(error))) => error,
        // A file that was there before and opens shows that the key is right.
        (Err(FileError::Unreadable), _) if old => OpenError::OutboxDamaged,
        (_, Err(FileError::Unreadable)) if old => OpenError::RegisterDamaged,
        _ => OpenError::WrongKey,
    }
}

fn folder_of(dir: &Path, user: UserId) -> PathBuf {
    dir.join("users").join(user.to_string())
}

#[cfg(test)]
mod tests;
