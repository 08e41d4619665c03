//! Police photos over HTTP.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use doorstep_core::ids::RecordId;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::show;
use crate::domains::auth::Actor;
use crate::domains::registry::service::Purpose;
use crate::error::ApiResult;
use crate::http::respond::ErrorBody;
use crate::http::{Params, Segment};
use crate::state::AppState;

/// Why someone looks at a photo.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PhotoQuery {
    /// Why.
    pub purpose: Purpose,
}

/// The photo that the police have collected of a resident, with the viewer and the time over it; logged, and not to be
/// kept.
#[utoipa::path(get, path = "/api/residents/{resident_id}/police-photo", tag = "registry",
    operation_id = "show_police_photo", params(("resident_id" = Uuid, Path), PhotoQuery),
    extensions(("x-access" = json!("register.reveal"))),
    responses((status = 200, description = "JPEG", content_type = "image/jpeg"), (status = 404, body = ErrorBody)))]
pub async fn show_police_photo(
    State(state): State<AppState>,
    actor: Actor,
    Segment(id): Segment<Uuid>,
    Params(query): Params<PhotoQuery>,
) -> ApiResult<Response> {
    let picture = show::show(&state, &actor, RecordId(id), query.purpose).await?;
    let headers = [(header::CONTENT_TYPE, "image/jpeg")];
    Ok((headers, picture).into_response())
}
