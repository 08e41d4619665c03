//! What any route may answer besides what it declares: refusals of the layers and extractors that every request passes,
//! in the one form that all errors take. Put into the API's description, so that no route restates it. Knows no route.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr};

use super::respond::status;
use crate::error::Kind;

/// Each family of errors that is not one route's matter, with its name and meaning in the description.
const FAMILIES: [(Kind, &str, &str); 8] = [
    (Kind::Malformed, "Malformed", "The request can't be read"),
    (
        Kind::Unauthenticated,
        "Unauthenticated",
        "Nobody is signed in, or no longer",
    ),
    (
        Kind::Forbidden,
        "Forbidden",
        "Signed in, but without the right",
    ),
    (
        Kind::NotFound,
        "NotFound",
        "Not there, or not for this user to know",
    ),
    (
        Kind::TooLarge,
        "TooLarge",
        "The body is larger than allowed",
    ),
    (
        Kind::Invalid,
        "Invalid",
        "Fields or parameters with wrong values",
    ),
    (Kind::Internal, "Internal", "The server's fault"),
    (
        Kind::Unavailable,
        "Unavailable",
        "Not now: try again, after Retry-After seconds if it says so",
    ),
];

/// Completes the description of every route.
pub fn complete(document: &mut Document) {
    let components = document.components.get_or_insert_default();
    for (_, name, meaning) in FAMILIES {
        components
            .responses
            .insert(name.to_owned(), error(meaning).into());
    }
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        complete_one(operation);
    }
}

fn complete_one(operation: &mut Operation) {
    let has_body = operation.request_body.is_some();
    let is_asked = has_body
        || operation
            .parameters
            .as_ref()
            .is_some_and(|all| !all.is_empty());
    let is_public = operation
        .extensions
        .as_ref()
        .and_then(|all| all.get("x-access"))
        .is_some_and(|access| access == "public");
    if is_public {
        operation.security = Some(Vec::new());
    }
    for (kind, name, _) in FAMILIES {
        let may_answer = match kind {
            Kind::Malformed | Kind::Invalid => is_asked,
            Kind::Unauthenticated | Kind::Forbidden => !is_public,
            Kind::NotFound => is_asked && !is_public,
            Kind::TooLarge => has_body,
            _ => true,
        };
        if may_answer {
            operation
                .responses
                .responses
                .entry(status(kind).as_u16().to_string())
                .or_insert_with(|| RefOr::Ref(Ref::from_response_name(name)));
        }
    }
}

fn error(meaning: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("ErrorBody")))
        .build();
    ResponseBuilder::new()
        .description(meaning)
        .content("application/json", content)
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let methods = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    methods.into_iter().filter_map(Option::as_mut)
}
