//! Bundles: a scope's records as one file, fetched by ranges, kept sealed while incomplete so that a lost connection
//! or a killed app goes on where it stopped, and checked by digest before anything of it is used.

use std::collections::BTreeSet;

use doorstep_core::crypto::sm3;
use doorstep_core::ids::ScopeId;
use doorstep_core::protocol::frames::BundleOffer;
use reqwest::{Method, StatusCode, header};

use crate::error::{ClientError, ClientResult, Kind};
use crate::http::Http;
use crate::routes;
use crate::sealed::SealedFolder;

/// The largest bundle that is taken, in bytes.
const LARGEST: u64 = 256 * 1024 * 1024;
/// How much is gathered before it is sealed and written.
const PIECE: usize = 256 * 1024;

/// How far a bundle has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Of which scope.
    pub scope: ScopeId,
    /// Bytes that are here.
    pub bytes: u64,
    /// Bytes in all.
    pub of: u64,
    /// Records in all.
    pub records: u64,
}

/// Fetches what is missing of a bundle and gives the whole, checked.
pub(crate) async fn fetch(
    http: &Http,
    folder: &SealedFolder,
    token: &str,
    scope: ScopeId,
    offer: &BundleOffer,
    progress: impl Fn(Progress),
) -> ClientResult<Vec<u8>> {
    if offer.bytes > LARGEST || offer.digest.len() != 32 {
        return Err(ClientError::protocol("bundle too large"));
    }
    let name = name(offer);
    let told = |bytes: usize| {
        progress(Progress {
            scope,
            bytes: bytes as u64,
            of: offer.bytes,
            records: offer.records,
        });
    };
    let (mut file, mut pieces) = folder.read_pieces(&name)?;
    told(file.len());
    if (file.len() as u64) < offer.bytes {
        let request = http
            .request(
                Method::GET,
                &format!("{}/{name}", routes::BUNDLES),
                Some(token),
            )
            .header(header::RANGE, format!("bytes={}-", file.len()));
        let mut response = http.send(request).await.map_err(|error| match error.kind {
            // A newer bundle has taken its place: the next Welcome offers it.
            Kind::Refused => ClientError {
                kind: Kind::Offline,
                ..error
            },
            _ => error,
        })?;
        if response.status() != StatusCode::PARTIAL_CONTENT && !file.is_empty() {
            folder.remove(&name)?;
            (file, pieces) = (Vec::new(), 0);
        }
        let mut written = file.len();
        let result = loop {
            match http.piece(&mut response).await {
                Ok(Some(piece)) => file.extend_from_slice(&piece),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if file.len() as u64 > offer.bytes {
                break Ok(());
            }
            if file.len() - written >= PIECE {
                folder.append(&name, pieces, &file[written..])?;
                pieces += 1;
                written = file.len();
                told(written);
            }
        };
        if let Err(error) = result {
            if file.len() > written {
                folder.append(&name, pieces, &file[written..])?;
            }
            return Err(error);
        }
        if (file.len() as u64) < offer.bytes {
            folder.append(&name, pieces, &file[written..])?;
            return Err(ClientError::offline("bundle broke off"));
        }
    }
    if sm3::digest(&[&file]).as_slice() != offer.digest.as_slice() {
        folder.remove(&name)?;
        return Err(ClientError::new(
            Kind::Protocol,
            "bundle_damaged",
            "下载的数据包已损坏，将重新下载",
        ));
    }
    told(file.len());
    Ok(file)
}

/// The file of a bundle while it is fetched.
pub(crate) fn name(offer: &BundleOffer) -> String {
    hex::encode(&offer.digest)
}

/// Forgets a bundle that was taken in.
pub(crate) fn remove(folder: &SealedFolder, offer: &BundleOffer) -> ClientResult<()> {
    folder.remove(&name(offer))
}

/// Forgets every bundle but these: a newer one was offered, its scope is no longer this device's, or a crash came
/// after it was taken in. Who is in one may have left or been erased since.
pub(crate) fn keep(folder: &SealedFolder, fetching: &BTreeSet<String>) -> ClientResult<()> {
    for name in folder.names("")? {
        if !fetching.contains(&name) {
            folder.remove(&name)?;
        }
    }
    Ok(())
}

/// Forgets every bundle.
pub(crate) fn clear(folder: &SealedFolder) -> ClientResult<()> {
    keep(folder, &BTreeSet::new())
}
