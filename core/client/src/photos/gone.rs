//! What becomes of photos whose record was erased or taken away: of whom they show nothing stays, only that they were
//! not taken. Knows nothing of sending.

use std::sync::atomic::Ordering;

use doorstep_core::envelope::Item;
use doorstep_core::ids::{EventId, RecordId};
use doorstep_core::store::DeviceStore;

use super::queue;
use crate::device::Shared;
use crate::error::{ClientError, ClientResult};
use crate::events::Event;
use crate::refused;

impl<S: DeviceStore> Shared<S> {
    /// Records and events were erased: their photos go now, and the server is not asked.
    pub(crate) fn forget_photos_of(&self, erased: &[RecordId]) -> ClientResult<()> {
        for photo in self.photos.erased(erased)? {
            self.tell(Event::PhotoRefused {
                digest: photo.digest,
                error: queue::erased(),
            });
        }
        Ok(())
    }

    /// Forgets the bytes of photos that were refused and whose record is no longer here. One that waits is for the server
    /// to judge: it may still be taken. While records are coming it is too early to say which are not here.
    pub(crate) fn tidy_photos(&self) -> ClientResult<()> {
        if !self.level.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.photos.tidy(|record| self.has_use_of(record))
    }

    /// Whether a record or event is here, waits for its answer, or was refused for what it says: then it is entered again,
    /// and its photo added again.
    fn has_use_of(&self, id: RecordId) -> ClientResult<bool> {
        let of_it = |item: &Item| match item {
            Item::Change(change) => change.record == id,
            Item::Event(event) => RecordId::from(event.id) == id,
        };
        let store = self.store();
        let read = || -> Result<bool, S::Error> {
            if store.record(id)?.is_some() || store.event(EventId(id.0))?.is_some() {
                return Ok(true);
            }
            let refused = store.refused()?;
            let mut refused = refused.iter();
            Ok(store.outbox()?.iter().any(|queued| of_it(&queued.item))
                || refused.any(|refused| {
                    of_it(&refused.item) && !refused::is_taken_away(&refused.refusal.code)
                }))
        };
        read().map_err(ClientError::storage)
    }
}
