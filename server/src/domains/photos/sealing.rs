//! Sealing of photos, thumbnails and chunks: SM4-GCM under the key of the record or event, bound to what each is of.

use doorstep_core::crypto::seal::{self, Place, SealError, SealKey};
use doorstep_core::ids::{PhotoId, RecordId};

use super::objects::Part;
use crate::error::{ApiError, ApiResult};
use crate::random;

/// What seals a photo: the record, and the photo's digest.
fn row(record: RecordId, digest: &[u8]) -> Vec<u8> {
    [&record.as_bytes()[..], digest].concat()
}

pub(super) fn seal_part(
    key: &SealKey,
    part: Part,
    record: RecordId,
    digest: &[u8],
    plain: &[u8],
) -> ApiResult<Vec<u8>> {
    let place = Place {
        table: "photos",
        row: &row(record, digest),
        column: part.name(),
        version: 1,
    };
    seal::seal(key, place, random::bytes()?, plain).map_err(ApiError::internal)
}

pub(super) fn open_part(
    key: &SealKey,
    part: Part,
    record: RecordId,
    digest: &[u8],
    sealed: &[u8],
) -> ApiResult<Vec<u8>> {
    let place = Place {
        table: "photos",
        row: &row(record, digest),
        column: part.name(),
        version: 1,
    };
    seal::open(key, place, sealed).map_err(ApiError::internal)
}

fn chunk_place(id: &PhotoId, at: i32) -> Place<'_> {
    Place {
        table: "photo_uploads",
        row: id.as_bytes(),
        column: "chunk",
        version: at.unsigned_abs(),
    }
}

pub(super) fn seal_chunk(key: &SealKey, id: PhotoId, at: i32, plain: &[u8]) -> ApiResult<Vec<u8>> {
    seal::seal(key, chunk_place(&id, at), random::bytes()?, plain).map_err(ApiError::internal)
}

pub(super) fn open_chunk(
    key: &SealKey,
    id: PhotoId,
    at: i32,
    sealed: &[u8],
) -> Result<Vec<u8>, SealError> {
    seal::open(key, chunk_place(&id, at), sealed)
}
