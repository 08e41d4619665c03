//! Raising alarms: kept, told to the security administrators, written into the audit log.

use std::collections::BTreeSet;

use doorstep_core::ids::{AreaCode, DeviceId, EventId, ScopeId, UserId};
use doorstep_core::protocol::frames::StateEntry;
use doorstep_core::rights::Permission;
use sqlx::PgConnection;

use super::model::{Kind, Noticed};
use super::store::{self, NewAlarm};
use crate::database::system_tx;
use crate::domains::{audit, users};
use crate::error::{ApiError, ApiResult};
use crate::random;
use crate::register;
use crate::state::AppState;

/// What is left to do about alarms that were raised, by whoever holds the transaction.
#[derive(Debug, Default)]
pub struct Raised {
    /// Messages, to be put into their users' scopes.
    pub told: Vec<(ScopeId, StateEntry)>,
    /// Entries of the audit log.
    pub entries: Vec<audit::Entry>,
}

/// Keeps what was noticed, in the caller's transaction (a system one). What came already within the hour counts there,
/// and nobody is told again.
///
/// # Errors
/// When the database fails; the transaction must then be dropped.
pub async fn raise(
    tx: &mut PgConnection,
    state: &AppState,
    noticed: &Noticed,
) -> ApiResult<Raised> {
    let mut raised = Raised::default();
    if noticed.is_empty() {
        return Ok(raised);
    }
    let (now, stamp) = (state.clock.now(), state.clock.timestamp());
    let alarms = noticed.0.iter().map(|((device, user, kind), seen)| {
        Ok(NewAlarm {
            id: random::id(stamp, EventId::new)?.0,
            code: kind.code(),
            device: device.0,
            user: user.0,
            record: seen.records.first().map(|record| record.0),
            record_type: seen.record_type,
            times: seen.times,
        })
    });
    let alarms = alarms.collect::<ApiResult<Vec<_>>>()?;
    let kept = store::keep(tx, &alarms, AreaCode::city().as_str(), now).await?;
    for row in kept {
        let Some(kind) = Kind::from_code(&row.code) else {
            continue;
        };
        let (device, user) = (DeviceId(row.device_id), UserId(row.user_id));
        let Some(seen) = noticed.0.get(&(device, user, kind)) else {
            continue;
        };
        let area: AreaCode = row.area_code.parse().map_err(ApiError::internal)?;
        tracing::warn!(code = kind.code(), %device, times = seen.times, "a device did what an honest one never does");
        metrics::counter!("doorstep_alarms_total", "code" => kind.code())
            .increment(seen.times.unsigned_abs());
        let detail = serde_json::json!({
            "code": kind.code(), "times": seen.times, "record_type": seen.record_type, "records": seen.records,
        });
        let mut entry = audit::Entry::by_server(now, audit::Action::RaiseAlarm)
            .user(user)
            .device(device)
            .area(area)
            .detail(detail);
        if let Some(record) = seen.records.first() {
            entry = entry.subject("record", record);
        }
        raised.entries.push(entry);
        if !row.fresh {
            continue;
        }
        let text = format!(
            "有一台设备触发安全告警：{}。请到“安全告警”查看，必要时停用这台设备。",
            kind.label()
        );
        let holders =
            users::service::holders_within(tx, state, Permission::ReadAlarms, &area).await?;
        let to: BTreeSet<UserId> = holders.into_iter().map(|grant| grant.user).collect();
        raised.told.extend(to.into_iter().map(|to| {
            let about = register::About::Alarm;
            register::message(to, row.id, "alarm_raised", &text, about, stamp)
        }));
    }
    Ok(raised)
}

/// The same in a transaction of its own, for what is noticed before anything is judged.
///
/// # Errors
/// When the database fails.
pub async fn raise_alone(state: &AppState, noticed: &Noticed) -> ApiResult<()> {
    let mut tx = system_tx(&state.pool).await?;
    let raised = raise(&mut tx, state, noticed).await?;
    let told = register::append_states(&mut tx, raised.told, state.clock.now()).await?;
    audit::record_all(&mut tx, &raised.entries).await?;
    tx.commit().await?;
    told.to(&state.hub);
    Ok(())
}
