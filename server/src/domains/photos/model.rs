//! Rows, what callers send and what they are shown.

use chrono::{DateTime, Utc};
use doorstep_core::ids::PhotoId;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::domains::registry::service::Purpose;

/// A photo that a device wants to send.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenUpload {
    /// SM3 of its bytes, 64 lower-case hexadecimal digits.
    pub digest: String,
    /// Bytes.
    pub size: i64,
    /// `image/jpeg`, `image/png` or `image/webp`.
    #[serde(rename = "type")]
    pub media_type: String,
    /// The record or event that it belongs to.
    pub record: String,
    /// The field's name, such as `portrait` or `photos`.
    pub field: String,
}

/// Where an upload stands.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct UploadView {
    /// Names the upload in the addresses of its chunks.
    pub upload: Uuid,
    /// The byte that comes next.
    pub offset: i64,
    /// All is there, checked and kept.
    pub complete: bool,
}

/// How a photo is asked for.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PhotoQuery {
    /// Why, where the field is masked (a portrait, say): `verification`, `service`, `correction`, `emergency` or
    /// `investigation`. It is written to the audit log.
    #[param(inline)]
    pub purpose: Option<Purpose>,
}

/// How far a photo has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhotoState {
    /// 已到服务器
    Arrived,
    /// 正在上传
    Arriving,
    /// 还在手机上
    OnPhone,
}

/// A photo that a record names.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PhotoView {
    /// SM3 of its bytes; `/api/photos/{digest}` has it once it has arrived.
    pub digest: String,
    /// The field's name.
    pub field: String,
    /// The field's label.
    pub label: String,
    /// Whether a purpose must be named to see it.
    pub masked: bool,
    /// How far it has come.
    pub state: PhotoState,
    /// Bytes that have arrived, once its upload has begun.
    pub received: Option<i64>,
    /// Bytes in all, once its upload has begun.
    pub size: Option<i64>,
    /// Its type, once it has arrived.
    #[serde(rename = "type")]
    pub media_type: Option<String>,
    /// Pixels across.
    pub width: Option<i32>,
    /// Pixels down.
    pub height: Option<i32>,
    /// When it arrived.
    pub arrived_at: Option<DateTime<Utc>>,
    /// Who sent it.
    pub uploaded_by: Option<Uuid>,
}

/// An upload under way.
#[derive(Clone, Debug, FromRow)]
pub(super) struct UploadRow {
    pub(super) id: Uuid,
    pub(super) digest: Vec<u8>,
    pub(super) record_id: Uuid,
    pub(super) field: String,
    pub(super) media_type: String,
    pub(super) size: i32,
    pub(super) received: i32,
}

impl UploadRow {
    pub(super) fn id(&self) -> PhotoId {
        PhotoId(self.id)
    }

    pub(super) fn view(&self) -> UploadView {
        UploadView {
            upload: self.id,
            offset: self.received.into(),
            complete: false,
        }
    }
}

/// A photo that has arrived.
#[derive(Clone, Debug, FromRow)]
pub(super) struct PhotoRow {
    pub(super) id: Uuid,
    pub(super) record_id: Uuid,
    pub(super) digest: Vec<u8>,
    pub(super) media_type: String,
    pub(super) size: i32,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) uploaded_by: Uuid,
    pub(super) arrived_at: DateTime<Utc>,
}

impl PhotoRow {
    pub(super) fn id(&self) -> PhotoId {
        PhotoId(self.id)
    }

    /// As its uploader sees it.
    pub(super) fn view(&self) -> UploadView {
        UploadView {
            upload: self.id,
            offset: self.size.into(),
            complete: true,
        }
    }
}
