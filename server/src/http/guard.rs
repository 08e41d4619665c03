//! The first wall, in front of every route: who is calling, whether the route's declared permission is carried by
//! any grant, and one audit record for each request. Denies by default: a route that declares nothing is closed.
//! Knows no area rules: a handler asks `Actor::require` for the area it touches.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use doorstep_core::rights::Permission;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::path::Operation;

use super::request;
use crate::domains::audit::{self, Action, Entry, Outcome, Trail};
use crate::domains::auth::{self, Actor};
use crate::error::{ApiError, ApiResult, Kind};
use crate::state::AppState;

/// Who may call a route: the value of its `x-access`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// `public`: anyone. What must be audited of it, its service records.
    Public,
    /// `signed_in`: any signed-in user, about themselves.
    SignedIn,
    /// A permission's code: who holds it somewhere; the handler checks where.
    Permission(Permission),
}

impl Access {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "public" => Some(Self::Public),
            "signed_in" => Some(Self::SignedIn),
            code => code.parse().ok().map(Self::Permission),
        }
    }
}

/// A route's rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What the audit log calls it.
    pub action: Action,
    /// Who may call it.
    pub access: Access,
}

/// The rules of all routes, by method and path.
#[derive(Clone, Debug, Default)]
pub struct Rules(Arc<HashMap<(Method, String), Rule>>);

impl Rules {
    /// Reads the rules from the API's description. A route without one is left out, and so stays closed.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let mut rules = HashMap::new();
        for (path, item) in &document.paths.paths {
            let operations: [(Method, &Option<Operation>); 5] = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in operations {
                if let Some(rule) = operation.as_ref().and_then(rule_of) {
                    rules.insert((method, path.clone()), rule);
                }
            }
        }
        Self(Arc::new(rules))
    }

    /// The rule of a route.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Option<&Rule> {
        // HEAD is answered by GET's handler.
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        self.0.get(&(method.clone(), path.to_owned()))
    }
}

fn rule_of(operation: &Operation) -> Option<Rule> {
    let declared = operation.extensions.as_ref()?.get("x-access")?.as_str()?;
    Some(Rule {
        action: operation.operation_id.as_deref()?.parse().ok()?,
        access: Access::parse(declared)?,
    })
}

/// What a caller with a temporary password may do: see who they are, change it, leave.
const BEFORE_PASSWORD_CHANGE: [Action; 3] =
    [Action::ShowMe, Action::ChangePassword, Action::SignOut];

/// Guards a request; innermost of all layers, so that the route is known.
pub async fn guard(
    State((state, rules)): State<(AppState, Rules)>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let Some(rule) = path.and_then(|path| rules.find(request.method(), &path)) else {
        return ApiError::internal(anyhow::anyhow!("the route declares no access")).into_response();
    };
    let address = request::client_address(
        &state,
        request.headers(),
        request.extensions().get::<ConnectInfo<SocketAddr>>(),
    );
    let trail = Arc::new(Trail::new(request::current_id(), address));
    request.extensions_mut().insert(trail.clone());
    if rule.access == Access::Public {
        return next.run(request).await;
    }
    let actor = match identify(&state, &trail, request.headers()).await {
        Ok(actor) => actor,
        Err(error) => return stranger(&state, &trail, rule, error).await.into_response(),
    };
    let response = match admit(rule, &actor) {
        Ok(()) => {
            request.extensions_mut().insert(actor.clone());
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    match leave_record(&state, rule, &actor, response.status()).await {
        Ok(()) => response,
        Err(error) => error.into_response(),
    }
}

/// Leaves the record of a request without a session that holds; gives the error to answer with.
async fn stranger(state: &AppState, trail: &Arc<Trail>, rule: &Rule, error: ApiError) -> ApiError {
    if error.kind != Kind::Unauthenticated {
        return error;
    }
    match audit::refused(state, trail, rule.action, error.code).await {
        Ok(()) => error,
        Err(failed) => failed,
    }
}

async fn identify(state: &AppState, trail: &Arc<Trail>, headers: &HeaderMap) -> ApiResult<Actor> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(ApiError::unauthenticated)?;
    auth::service::actor_of_token(state, trail, token.trim()).await
}

fn admit(rule: &Rule, actor: &Actor) -> ApiResult<()> {
    if actor.must_change_password && !BEFORE_PASSWORD_CHANGE.contains(&rule.action) {
        return Err(ApiError::new(
            Kind::Forbidden,
            "password_change_required",
            "请先修改密码：首次登录或密码已过期",
        ));
    }
    match rule.access {
        Access::Permission(permission) if !actor.may_somewhere(permission) => {
            Err(ApiError::forbidden())
        }
        _ => Ok(()),
    }
}

/// Writes the request's audit record, unless its service did. Nothing is shown that can't be written down.
async fn leave_record(
    state: &AppState,
    rule: &Rule,
    actor: &Actor,
    status: StatusCode,
) -> ApiResult<()> {
    if actor.trail.is_settled(status.is_success()) {
        return Ok(());
    }
    let outcome = if status.is_server_error() {
        Outcome::Failed
    } else if status.is_client_error() {
        Outcome::Refused
    } else {
        Outcome::Done
    };
    let noted = actor.trail.noted();
    let mut detail = noted.detail.unwrap_or_else(|| serde_json::json!({}));
    if outcome != Outcome::Done
        && let Some(fields) = detail.as_object_mut()
    {
        fields.insert("status".into(), status.as_u16().into());
    }
    let mut entry = Entry::by(actor, state.clock.now(), rule.action)
        .outcome(outcome)
        .detail(detail);
    if let Some(area) = noted.area {
        entry = entry.area(area);
    }
    if let Some((kind, id)) = noted.subject {
        entry = entry.subject(kind, id);
    }
    state.audit.write(entry).await
}

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(ApiError::unauthenticated)
    }
}
