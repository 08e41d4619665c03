//! How much one device may send: items and bytes, items that are refused, envelopes that were answered before; and how
//! many repairs it may ask for, over however many connections. All that is generous for honest work; who floods is told to come again later, and loses nothing, for what is not taken stays on
//! the device. Counts live in this node's memory: a device may spend as much on every node, and a restart forgives.
//! Knows no frame and no database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorstep_core::ids::DeviceId;
use tokio::time::Instant;

/// Items that a device may send at once, and again within each hour, unless the operator says otherwise. A collector
/// makes some hundreds a day: a phone that was offline for months sends fewer.
pub const ITEMS: u32 = 50_000;
/// Bytes of envelopes for each of these items, on average. A change of a form is a few hundred.
const BYTES_OF_ITEM: f64 = 2_048.0;
/// One in so many of these items may be refused: more than any phone holds whose owner was moved to another area.
const ONE_REFUSED_OF: f64 = 5.0;
/// Envelopes answered before that raise an alarm when they come again within about an hour. A line that loses every
/// answer has its device send up to four again at each of its connections, so a few are nothing.
pub(super) const REPLAYS: u32 = 200;
/// Repairs that a device may ask for at once: each reads a whole scope. As many are forgiven in a minute.
const REPAIRS: u32 = 30;
/// And for each area that it follows, where that is more: when its register was lost each is repaired, and some again.
const REPAIRS_OF_AREA: u32 = 2;
const MINUTE: Duration = Duration::from_secs(60);
/// What is spent is forgiven at this pace: all of it in an hour.
const HOUR: Duration = Duration::from_secs(3_600);
/// Who is over may go on when this part of the quota is spent.
const GO_ON: f64 = 0.95;
/// Between two alarms about a device that comes again and again.
const QUIET: Duration = Duration::from_secs(60);
/// How often those who have spent nothing lately are forgotten.
const SWEEP: Duration = Duration::from_secs(600);

const SENT_ITEMS: usize = 0;
const SENT_BYTES: usize = 1;
const REFUSED: usize = 2;
const REPLAYED: usize = 3;
const REPAIRED: usize = 4;

/// A device has sent too much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Over {
    /// When it may go on.
    pub(super) wait: Duration,
    /// Whether it is what was refused that is too much.
    pub(super) refused: bool,
    /// Whether that is worth an alarm: not at each of its tries.
    pub(super) alarm: bool,
}

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Quotas(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    items: f64,
    devices: Mutex<Devices>,
}

#[derive(Debug)]
struct Devices {
    spent: HashMap<DeviceId, Spent>,
    swept: Instant,
}

/// What a device has spent: parts of each quota, as of a moment.
#[derive(Debug)]
struct Spent {
    at: Instant,
    parts: [f64; 5],
    told: Option<Instant>,
}

impl Spent {
    fn forgive(&mut self, now: Instant) {
        let forgiven = (now - self.at).as_secs_f64() / HOUR.as_secs_f64();
        for part in &mut self.parts {
            *part = (*part - forgiven).max(0.0);
        }
        self.at = now;
    }
}

impl Quotas {
    /// With so many items an hour; the other quotas follow from that.
    pub(super) fn of(items: u32) -> Self {
        let devices = Devices {
            spent: HashMap::new(),
            swept: Instant::now(),
        };
        Self(Arc::new(Inner {
            items: f64::from(items.max(1)),
            devices: Mutex::new(devices),
        }))
    }

    /// An envelope comes in. One is always taken from a device that has room left, however large it is.
    ///
    /// # Errors
    /// When the device has spent a quota; nothing is counted then.
    pub(super) fn spend(&self, device: DeviceId, items: usize, bytes: usize) -> Result<(), Over> {
        self.with(device, |spent| {
            let mut most = SENT_ITEMS;
            for quota in [SENT_BYTES, REFUSED] {
                if spent.parts[quota] > spent.parts[most] {
                    most = quota;
                }
            }
            let over = spent.parts[most];
            if over >= 1.0 {
                let alarm = spent.told.is_none_or(|told| spent.at - told >= QUIET);
                if alarm {
                    spent.told = Some(spent.at);
                }
                return Err(Over {
                    wait: HOUR.mul_f64(over - GO_ON),
                    refused: most == REFUSED,
                    alarm,
                });
            }
            spent.parts[SENT_ITEMS] += items as f64 / self.0.items;
            spent.parts[SENT_BYTES] += bytes as f64 / (self.0.items * BYTES_OF_ITEM);
            Ok(())
        })
    }

    /// So many of a device's items were refused.
    pub(super) fn refused(&self, device: DeviceId, items: usize) {
        if items > 0 {
            self.with(device, |spent| {
                spent.parts[REFUSED] += items as f64 * ONE_REFUSED_OF / self.0.items;
            });
        }
    }

    /// An envelope came that was answered before; whether that is too often by now. Then it is counted anew.
    pub(super) fn replayed(&self, device: DeviceId) -> bool {
        self.with(device, |spent| {
            let replays = &mut spent.parts[REPLAYED];
            *replays += 1.0 / f64::from(REPLAYS);
            let often = *replays >= 1.0;
            if often {
                *replays = 0.0;
            }
            often
        })
    }

    /// A device that follows so many areas asks for a repair.
    ///
    /// # Errors
    /// When it has asked for too many: after what time it may go on.
    pub(super) fn repair(&self, device: DeviceId, areas: usize) -> Result<(), Duration> {
        let areas = u32::try_from(areas).unwrap_or(u32::MAX);
        let most = REPAIRS.max(REPAIRS_OF_AREA.saturating_mul(areas));
        let an_hour = f64::from(REPAIRS) * (HOUR.as_secs_f64() / MINUTE.as_secs_f64());
        self.with(device, |spent| {
            let repairs = &mut spent.parts[REPAIRED];
            if (*repairs * an_hour).round() >= f64::from(most) {
                return Err(MINUTE);
            }
            *repairs += 1.0 / an_hour;
            Ok(())
        })
    }

    fn with<T>(&self, device: DeviceId, what: impl FnOnce(&mut Spent) -> T) -> T {
        let now = Instant::now();
        let mut devices = self
            .0
            .devices
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if now - devices.swept >= SWEEP {
            devices.swept = now;
            devices.spent.retain(|_, spent| {
                spent.forgive(now);
                spent.parts.iter().any(|part| *part > 0.0)
            });
        }
        let spent = devices.spent.entry(device).or_insert_with(|| Spent {
            at: now,
            parts: [0.0; 5],
            told: None,
        });
        spent.forgive(now);
        what(spent)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const DEVICE: DeviceId = DeviceId(uuid::Uuid::from_u128(1));

    #[tokio::test(start_paused = true)]
    async fn weeks_of_work_go_through_at_once_and_a_flood_waits_until_some_is_forgiven() {
        let quotas = Quotas::of(ITEMS);
        // Three months of two hundred items a day.
        for _ in 0..72 {
            quotas.spend(DEVICE, 256, 256 * 600).unwrap();
        }
        while quotas.spend(DEVICE, 256, 256 * 600).is_ok() {}
        let over = quotas.spend(DEVICE, 1, 1).unwrap_err();
        assert!(
            !over.refused && !over.alarm,
            "the first refusal told: {over:?}"
        );
        assert!(over.wait >= HOUR / 20 && over.wait < HOUR / 10, "{over:?}");
        quotas
            .spend(DeviceId(uuid::Uuid::from_u128(2)), 256, 1)
            .unwrap();
        tokio::time::advance(over.wait).await;
        quotas.spend(DEVICE, 256, 256 * 600).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_and_refusals_are_counted_too_and_an_alarm_is_not_raised_at_each_try() {
        let quotas = Quotas::of(100);
        quotas.spend(DEVICE, 1, 150 * 2_048).unwrap();
        let over = quotas.spend(DEVICE, 1, 1).unwrap_err();
        assert!(over.alarm && !over.refused);
        assert!(!quotas.spend(DEVICE, 1, 1).unwrap_err().alarm);
        tokio::time::advance(QUIET).await;
        assert!(quotas.spend(DEVICE, 1, 1).unwrap_err().alarm);
        tokio::time::advance(HOUR).await;
        quotas.spend(DEVICE, 1, 1).unwrap();
        quotas.refused(DEVICE, 20);
        assert!(quotas.spend(DEVICE, 1, 1).unwrap_err().refused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_envelopes_may_come_again_and_a_flood_of_them_is_told_each_time() {
        let quotas = Quotas::of(ITEMS);
        let often = (0..3 * REPLAYS).filter(|_| quotas.replayed(DEVICE)).count();
        assert_eq!(often, 3);
        for _ in 0..2 * REPLAYS {
            assert!(!quotas.replayed(DEVICE));
            tokio::time::advance(HOUR / 20).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_has_thirty_repairs_or_two_for_each_area_and_thirty_more_each_minute() {
        let quotas = Quotas::of(ITEMS);
        let most = |device: u128, areas| {
            let device = DeviceId(uuid::Uuid::from_u128(device));
            (0..1_000)
                .take_while(|_| quotas.repair(device, areas).is_ok())
                .count()
        };
        assert_eq!([most(1, 1), most(2, 60)], [30, 120]);
        assert_eq!(quotas.repair(DEVICE, 1), Err(MINUTE));
        // They take nothing from what it may send.
        quotas.spend(DEVICE, 256, 1).unwrap();
        tokio::time::advance(MINUTE).await;
        assert_eq!([most(1, 1), most(2, 60)], [30, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_spends_nothing_is_forgotten() {
        let quotas = Quotas::of(ITEMS);
        for number in 0..500 {
            quotas
                .spend(DeviceId(uuid::Uuid::from_u128(number)), 256, 1)
                .unwrap();
        }
        tokio::time::advance(SWEEP).await;
        quotas.spend(DEVICE, 1, 1).unwrap();
        assert_eq!(quotas.0.devices.lock().unwrap().spent.len(), 1);
    }
}
