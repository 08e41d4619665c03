//! Kinds of alarms, what was noticed, and what callers are shown.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use doorstep_core::ids::{DeviceId, RecordId, UserId};
use doorstep_core::records;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Records that an entry of the audit log names at most.
const NAMED: usize = 10;

macro_rules! kinds {
    ($($variant:ident = $code:literal, $label:literal;)*) => {
        /// What a device did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $(#[doc = $label] $variant,)* }

        impl Kind {
            /// Every one, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its stable code.
            #[must_use]
            pub fn code(self) -> &'static str { match self { $(Self::$variant => $code),* } }

            /// What people read.
            #[must_use]
            pub fn label(self) -> &'static str { match self { $(Self::$variant => $label),* } }

            /// The kind of a code.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.code() == code)
            }
        }
    };
}

kinds! {
    ForgedActor = "forged_actor", "冒用其他设备的身份提交修改";
    SequenceReused = "sequence_reused", "用同一序号提交了不同的修改";
    IdTaken = "id_taken", "用已有档案或记录的编号提交了别的内容";
    EnvelopeReused = "envelope_reused", "用同一批次号上传了不同的数据";
    EnvelopeGap = "envelope_gap", "上传批次不连续";
    EnvelopeSignature = "envelope_signature", "上传的数据签名不对";
    EnvelopeMalformed = "envelope_malformed", "上传的数据格式不对";
    EnvelopeTooLarge = "envelope_too_large", "一批上传的数据过大";
    EnvelopeWrongDevice = "envelope_wrong_device", "以其他设备或用户的名义上传数据";
    FrameTooLong = "frame_too_long", "发送了超出上限的数据";
    ClockOff = "clock_off", "时间与实际相差一年以上";
    Replayed = "replayed", "反复上传已经处理过的数据";
    QuotaExceeded = "quota_exceeded", "短时间内上传的数据过多";
    QuotaRefused = "quota_refused", "短时间内上传的无效数据过多";
}

/// What was noticed of devices, the same of one device and user as one.
#[derive(Debug, Default)]
pub struct Noticed(pub(super) BTreeMap<(DeviceId, UserId, Kind), Seen>);

/// How often, and about what.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) times: i64,
    /// The first ones.
    pub(super) records: Vec<RecordId>,
    /// The declared type of the first one; what a device claims beside that is kept nowhere.
    pub(super) record_type: Option<&'static str>,
}

impl Noticed {
    /// Notes that a device of a user did this.
    pub fn note(&mut self, kind: Kind, device: DeviceId, user: UserId) {
        self.0.entry((device, user, kind)).or_default().times += 1;
    }

    /// The same about a record, of the type that the device says.
    pub fn note_record(
        &mut self,
        kind: Kind,
        device: DeviceId,
        user: UserId,
        (record, record_type): (RecordId, &str),
    ) {
        let seen = self.0.entry((device, user, kind)).or_default();
        seen.times += 1;
        if seen.records.len() < NAMED && !seen.records.contains(&record) {
            seen.records.push(record);
        }
        if seen.record_type.is_none() {
            seen.record_type =
                records::record_type(record_type).map(|declared| declared.name.as_str());
        }
    }

    /// Whether nothing was noticed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Clone, Debug, FromRow)]
pub(super) struct AlarmRow {
    pub(super) id: Uuid,
    pub(super) code: String,
    pub(super) area_code: String,
    pub(super) device_id: Uuid,
    pub(super) user_id: Uuid,
    pub(super) record_type: Option<String>,
    pub(super) times: i64,
    pub(super) since: DateTime<Utc>,
    pub(super) at: DateTime<Utc>,
}

/// An alarm.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlarmView {
    /// Names it.
    pub id: Uuid,
    /// What the device did, by its code: `alarms` of the declarations.
    pub code: String,
    /// The same in words.
    pub label: String,
    /// The area that the device's user belongs to.
    pub area: String,
    /// Which device.
    pub device: Uuid,
    /// What people call it.
    pub device_name: String,
    /// Who was signed in on it.
    pub user: Uuid,
    /// That person's name.
    pub user_name: String,
    /// The type of record that it was about: `resident`, `house` …
    pub record_type: Option<String>,
    /// The same in words.
    pub record_label: Option<String>,
    /// How often within its hour.
    pub times: i64,
    /// The first time.
    pub since: DateTime<Utc>,
    /// The last time.
    pub at: DateTime<Utc>,
}

/// Which alarms to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AlarmQuery {
    /// Of devices of this area and below.
    pub area: Option<String>,
    /// Of this kind: `alarms` of the declarations.
    pub code: Option<String>,
    /// Of this device.
    pub device: Option<Uuid>,
    /// Of this user.
    pub user: Option<Uuid>,
    /// Items at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_alarm_that_names_a_few_records_and_no_made_up_type() {
        let (device, user) = (DeviceId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let mut noticed = Noticed::default();
        for number in 0..250 {
            let about = (RecordId::from_bytes([number; 16]), "\0");
            noticed.note_record(Kind::ForgedActor, device, user, about);
        }
        noticed.note(Kind::EnvelopeGap, device, user);
        assert_eq!(noticed.0.len(), 2);
        let seen = &noticed.0[&(device, user, Kind::ForgedActor)];
        assert_eq!((seen.times, seen.records.len()), (250, NAMED));
        assert_eq!(seen.record_type, None);
    }

    #[test]
    fn codes_are_told_apart() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(*kind));
        }
    }
}
