//! The whole table of routes, and what all requests pass through. Every route says in its declaration
//! (`x-access`) who may call it; one that doesn't is closed, and fails server/tests/walk.

use std::sync::{Arc, OnceLock};

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::console::routes as console;
use crate::domains::addresses::routes as addresses;
use crate::domains::alarms::routes as alarms;
use crate::domains::areas::routes as areas;
use crate::domains::audit::routes as audit;
use crate::domains::auth::routes as auth;
use crate::domains::checks::routes as checks;
use crate::domains::conflicts::routes as conflicts;
use crate::domains::declarations::routes as declarations;
use crate::domains::devices::routes as devices;
use crate::domains::imports::routes as imports;
use crate::domains::messages::routes as messages;
use crate::domains::photos::routes as photos;
use crate::domains::police_photos::routes as police_photos;
use crate::domains::registry::routes as registry;
use crate::domains::users::routes as users;
use crate::domains::visits::routes as visits;
use crate::error::{ApiError, ApiResult, Kind};
use crate::http::guard::{self, Rules};
use crate::http::packed::Packed;
use crate::http::{describe, health, metrics, request, respond};
use crate::state::AppState;
use crate::sync::{SyncState, routes as sync};

/// Title, version and the shared error form of the API's description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Doorstep",
        description = "社区人房采集与基层治理平台接口",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(respond::ErrorBody)),
    modifiers(&Description)
)]
struct Description;

impl Modify for Description {
    fn modify(&self, document: &mut Document) {
        let scheme = Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("POST /api/auth/sign-in"))
            .build();
        if let Some(components) = &mut document.components {
            components.add_security_scheme("token", SecurityScheme::Http(scheme));
        }
        document.security = Some(vec![SecurityRequirement::new(
            "token",
            Vec::<String>::new(),
        )]);
    }
}

/// Every route, with its description.
fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::show_metrics))
        .routes(routes!(show_description))
        // Signing in, and what callers ask about themselves
        .routes(routes!(auth::sign_in))
        .routes(routes!(auth::sign_out))
        .routes(routes!(auth::issue_challenge))
        .routes(routes!(auth::show_me))
        .routes(routes!(auth::explain_right))
        .routes(routes!(auth::change_password))
        .routes(routes!(auth::list_sessions))
        .routes(routes!(auth::end_session))
        .routes(routes!(auth::begin_second_factor))
        .routes(routes!(auth::confirm_second_factor))
        .routes(routes!(auth::remove_second_factor))
        // What consoles hear while they are open
        .routes(routes!(console::stream_notices))
        // Users and what they are granted
        .routes(routes!(users::create_user, users::list_users))
        .routes(routes!(users::show_user, users::update_user))
        .routes(routes!(users::reset_password))
        .routes(routes!(users::clear_second_factor))
        .routes(routes!(users::unlock_user))
        .routes(routes!(users::list_grants, users::grant_role))
        .routes(routes!(users::list_rights))
        .routes(routes!(users::revoke_grant))
        .routes(routes!(users::list_roles))
        // Sync
        .routes(routes!(sync::open_sync))
        .routes(routes!(sync::fetch_bundle))
        // Devices
        .routes(routes!(devices::enrol_device, devices::list_devices))
        .routes(routes!(devices::sign_in_device))
        .routes(routes!(devices::confirm_wipe))
        .routes(routes!(devices::show_device))
        .routes(routes!(devices::revoke_device))
        .routes(routes!(devices::order_wipe))
        .routes(routes!(alarms::list_alarms))
        // Areas
        .routes(routes!(addresses::list_addresses))
        .routes(routes!(areas::import_areas))
        .routes(routes!(areas::list_areas))
        .routes(routes!(areas::show_area_tree))
        .routes(routes!(areas::list_area_versions))
        .routes(routes!(areas::diff_areas))
        .routes(routes!(areas::show_area))
        // The register
        .routes(routes!(declarations::show_declarations))
        .routes(routes!(registry::list_residents, registry::create_resident))
        .routes(routes!(registry::show_resident))
        .routes(routes!(
            registry::compare_main_residences,
            registry::claim_main_residence,
            registry::move_main_residence
        ))
        .routes(routes!(police_photos::show_police_photo))
        .routes(routes!(registry::set_away, registry::end_away))
        .routes(routes!(registry::list_houses, registry::create_house))
        .routes(routes!(registry::show_house))
        .routes(routes!(registry::manage_house))
        .routes(routes!(
            registry::list_residences,
            registry::create_residence
        ))
        .routes(routes!(registry::show_record, registry::update_record))
        .routes(routes!(registry::show_history))
        .routes(routes!(registry::reveal_record))
        .routes(routes!(registry::export_document))
        .routes(routes!(registry::cancel_record))
        .routes(routes!(registry::restore_record))
        .routes(routes!(registry::erase_record))
        .routes(routes!(registry::list_buildings))
        .routes(routes!(registry::show_building))
        .routes(routes!(registry::list_away))
        .routes(routes!(registry::list_former_residents))
        .routes(routes!(registry::list_household_register))
        // What became of people and of what is registered of them
        .routes(routes!(registry::list_field_changes))
        .routes(routes!(registry::list_population_changes))
        .routes(routes!(registry::count_population_changes))
        .routes(routes!(registry::list_address_changes))
        // Visits
        .routes(routes!(visits::list_visits))
        .routes(routes!(visits::count_visits))
        .routes(routes!(visits::list_due_visits))
        .routes(routes!(messages::list_messages))
        // What those responsible for an address are asked
        .routes(routes!(checks::list_checks))
        .routes(routes!(checks::show_check))
        .routes(routes!(checks::answer_check))
        // Photos
        .routes(routes!(photos::open_photo))
        .merge(chunks())
        .routes(routes!(photos::show_photo))
        .routes(routes!(photos::show_photo_thumbnail))
        .routes(routes!(photos::list_record_photos))
        // The conflict queue
        .routes(routes!(conflicts::list_conflicts))
        .routes(routes!(conflicts::decide_conflicts))
        .routes(routes!(conflicts::show_conflict))
        .routes(routes!(
            conflicts::decide_conflict,
            conflicts::undo_conflict
        ))
        .routes(routes!(conflicts::assign_conflict))
        .routes(routes!(conflicts::list_deciders))
        // Registers from files
        .merge(files())
        .routes(routes!(imports::show_import))
        .routes(routes!(imports::map_import))
        .routes(routes!(imports::check_import))
        .routes(routes!(imports::run_import))
        .routes(routes!(imports::undo_import))
        .routes(routes!(imports::list_import_rows))
        .routes(routes!(imports::export_import_result))
        .routes(routes!(imports::show_import_template))
        .routes(routes!(imports::list_import_fields))
        // The audit log
        .routes(routes!(audit::search_audit))
        .routes(routes!(audit::export_audit))
        .routes(routes!(audit::verify_audit))
        .routes(routes!(
            audit::list_audit_signatures,
            audit::sign_audit_head
        ))
}

/// Routes whose bodies may be larger than others'.
fn files() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(imports::upload_import, imports::list_imports))
        .layer(DefaultBodyLimit::max(imports::LARGEST))
}

/// Routes whose bodies must be smaller than others'.
fn chunks() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(photos::send_photo_chunk))
        .layer(DefaultBodyLimit::max(photos::CHUNK))
}

/// The API's description (OpenAPI 3.1).
#[must_use]
pub fn description() -> Document {
    described().1
}

/// Every route, and the whole description.
fn described() -> (Router<AppState>, Document) {
    let (router, mut document) = routes().split_for_parts();
    describe::complete(&mut document);
    (router, document)
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "operations", operation_id = "show_description",
    extensions(("x-access" = json!("public"))),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"), (status = 304)))]
async fn show_description(
    Extension(document): Extension<Arc<Document>>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    static SHOWN: OnceLock<Packed> = OnceLock::new();
    let shown = match SHOWN.get() {
        Some(shown) => shown,
        None => {
            let packed = Packed::json(&*document)?;
            SHOWN.get_or_init(|| packed)
        }
    };
    shown.answer(&headers)
}

/// The router that a server runs.
pub fn build(state: AppState) -> Router {
    let (router, document) = described();
    let body_limit = state.config.body_limit;
    let rules = Rules::of(&document);
    router
        // Within the guard, so that a request that fails or takes too long still leaves its record.
        .route_layer(CatchPanicLayer::custom(answer_panic))
        .route_layer(middleware::from_fn_with_state(
            state.clone(),
            request::limit,
        ))
        .route_layer(middleware::from_fn_with_state(
            (state.clone(), rules),
            guard::guard,
        ))
        .layer(Extension(Arc::new(document)))
        .layer(Extension(SyncState::start(&state)))
        .fallback(console::answer)
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                Kind::NotAllowed,
                "method_not_allowed",
                "这个地址不支持这种操作",
            )
        })
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(request::track))
        .with_state(state)
}

/// A panic is our fault and one request's end, not the server's. What it says may hold data: only its place is logged
/// (by the panic hook).
fn answer_panic(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let mut response = ApiError::internal(anyhow::anyhow!("a handler panicked")).into_response();
    response.headers_mut().insert(
        header::CONNECTION,
        axum::http::HeaderValue::from_static("close"),
    );
    response
}
