//! A device says that it wiped what it held, as it was ordered to. Its sessions have ended: its key proves it.

use std::sync::Arc;

use doorstep_core::ids::{DeviceId, UserId};

use super::enrolment::{bytes, device, stranger, unknown};
use super::model::{ConfirmWipe, DeviceStatus};
use super::store;
use crate::database::system_tx;
use crate::domains::audit::{self, Action, Entry, Trail};
use crate::domains::auth::service as auth;
use crate::error::{ApiError, ApiResult, Problems};
use crate::state::AppState;

/// What a device signs: this, the nonce, its id.
const WIPED: &[u8] = b"doorstep-wiped-v1";

/// Notes the wipe. Said again, it changes nothing.
pub(super) async fn confirm(
    state: &AppState,
    trail: &Arc<Trail>,
    input: ConfirmWipe,
) -> ApiResult<()> {
    let mut problems = Problems::default();
    let nonce = bytes(&mut problems, "nonce", &input.nonce);
    let signature = bytes(&mut problems, "signature", &input.signature);
    problems.finish()?;
    let id = DeviceId(input.device);
    let mut tx = system_tx(&state.pool).await?;
    let Some(row) = store::by_id(&mut tx, id.0).await? else {
        drop(tx);
        return Err(stranger(state, trail, Action::ConfirmWipe, unknown()).await);
    };
    let key = device(&row)?.key;
    let answered = auth::answer_challenge(
        state,
        &mut tx,
        &key,
        WIPED,
        &nonce,
        id.as_bytes(),
        &signature,
    )
    .await;
    tx.commit().await?;
    if let Err(error) = answered {
        return Err(stranger(state, trail, Action::ConfirmWipe, error).await);
    }
    match row.status() {
        DeviceStatus::WipeOrdered => {}
        DeviceStatus::Wiped => return Ok(()),
        DeviceStatus::Active | DeviceStatus::Revoked => {
            let error =
                ApiError::conflict("no_wipe_ordered", "没有要求清除这台设备，请联系管理员核对");
            return Err(stranger(state, trail, Action::ConfirmWipe, error).await);
        }
    }
    let at = state.clock.now();
    let mut tx = system_tx(&state.pool).await?;
    store::note_wiped(&mut tx, id.0, at).await?;
    let entry = Entry::on_trail(trail, at, Action::ConfirmWipe)
        .user(UserId(row.user_id))
        .device(id)
        .area(row.area_code)
        .subject("device", id);
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(())
}
