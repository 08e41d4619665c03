//! The whole matrix route × role × area, made from the API's own description, so that a new route is in it
//! at once: without a session 401, without the permission 403, in another area nothing but 403 or 404; and each
//! request leaves its record.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod audited;
mod neighbours;
mod things;

use std::collections::BTreeSet;

use audited::{assert_recorded, records};
use doorstep_core::rights::{Permission, Role};
use doorstep_server::testing::city::{DISTRICT, OTHER_DISTRICT, OTHER_VILLAGE, VILLAGE};
use doorstep_server::testing::{Person, TestServer};
use things::{Things, operations};

const ROLES: [Role; 6] = [
    Role::Collector,
    Role::Supervisor,
    Role::PoliceLiaison,
    Role::AreaAdministrator,
    Role::SecurityAdministrator,
    Role::Auditor,
];

#[test]
fn every_route_declares_who_may_call_it() {
    let operations = operations();
    assert!(operations.len() > 30);
    let mut ids = BTreeSet::new();
    for operation in &operations {
        let known = ["public", "signed_in"].contains(&operation.access.as_str())
            || operation.permission().is_some();
        assert!(
            known,
            "{} {} declares no x-access",
            operation.method, operation.path
        );
        assert!(
            ids.insert(operation.id.clone()),
            "two routes are called {:?}",
            operation.id
        );
    }
}

#[tokio::test]
async fn without_a_session_every_route_but_the_public_ones_is_closed() {
    let server = TestServer::open_city().await.unwrap();
    let things = Things::of(&server, VILLAGE).await;
    for operation in operations() {
        for token in [None, Some("made-up")] {
            let reply = server
                .send(
                    &operation.method,
                    &things.path(&operation),
                    token,
                    things.body(&operation),
                )
                .await
                .unwrap();
            if operation.access == "public" {
                assert_ne!(reply.code(), "unauthenticated", "{}", operation.id);
            } else {
                assert_eq!(
                    (reply.status, reply.code()),
                    (401, "unauthenticated"),
                    "{}",
                    operation.id
                );
                // The first of a source in a minute; the others are counted together.
                let left = records(&server, &reply).await;
                let first = token.is_none().then(|| operation.id.clone());
                assert_eq!(left, Vec::from_iter(first), "{}", operation.id);
            }
        }
    }
}

#[tokio::test]
async fn no_role_passes_without_the_permission_nor_into_another_area() {
    let server = TestServer::open_city().await.unwrap();
    let theirs = Things::of(&server, OTHER_VILLAGE).await;
    for role in ROLES {
        let caller: Person = server.person(role, DISTRICT).await.unwrap();
        for operation in operations() {
            let Some(permission) = operation.permission() else {
                continue;
            };
            let (path, body) = (theirs.path(&operation), theirs.body(&operation));
            let reply = server
                .send(&operation.method, &path, Some(&caller.token), body)
                .await
                .unwrap();
            assert_recorded(&server, &operation, &reply).await;
            let what = format!(
                "{role}: {} {path}: {} {}",
                operation.method, reply.status, reply.body
            );
            if !role.may(permission) {
                assert_eq!((reply.status, reply.code()), (403, "forbidden"), "{what}");
            } else if !operation.whole && !matches!(reply.status, 403 | 404) {
                assert_eq!(
                    (reply.status, operation.has_path_parameters()),
                    (200, false),
                    "{what}"
                );
                let shown = reply.body.to_string();
                for (name, id) in &theirs.ids {
                    // Who of the own area asked in vain for something elsewhere is in the own area's log.
                    let asked_for = permission == Permission::ReadAudit && *name != "area_code";
                    assert!(
                        asked_for || !shown.contains(id),
                        "{role}: {path} shows {name} {id}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn each_role_reads_what_it_may_in_its_own_area() {
    let server = TestServer::open_city().await.unwrap();
    let own = Things::of(&server, VILLAGE).await;
    let mut read = BTreeSet::new();
    for role in ROLES {
        let caller = server.person(role, DISTRICT).await.unwrap();
        for operation in operations()
            .into_iter()
            .filter(|operation| operation.method == "GET")
        {
            let Some(permission) = operation.permission() else {
                continue;
            };
            let mut path = own.path(&operation);
            if operation.id == "diff_areas" {
                path += "?from=0&to=1";
            }
            // In clear: for who brought the file in, or exports.
            let in_clear = operation.id == "export_import_result";
            if in_clear {
                path += "?purpose=correction";
            }
            let exports = !in_clear || role.may(Permission::ExportRegister);
            let reply = server
                .send("GET", &path, Some(&caller.token), None)
                .await
                .unwrap();
            assert_recorded(&server, &operation, &reply).await;
            // The log as a whole is for who audits the whole city.
            let whole_city =
                ["verify_audit", "list_audit_signatures"].contains(&operation.id.as_str());
            let expected = match role.may(permission) && !whole_city && exports {
                true if ["fetch_bundle", "show_police_photo"].contains(&operation.id.as_str()) => {
                    404
                }
                true => 200,
                false => 403,
            };
            assert_eq!(reply.status, expected, "{role}: {path}: {}", reply.body);
            if expected == 200 {
                read.insert(operation.id);
            }
        }
    }
    assert!(read.len() > 10, "{read:?}");
}

#[tokio::test]
async fn nobody_lists_a_neighbouring_district() {
    let server = TestServer::open_city().await.unwrap();
    for role in ROLES {
        let caller = server.person(role, OTHER_DISTRICT).await.unwrap();
        for operation in operations()
            .iter()
            .filter(|operation| operation.takes_area && operation.permission().is_some())
        {
            let path = operation.with_parameters(format!("{}?area={DISTRICT}", operation.path));
            let reply = server
                .send(&operation.method, &path, Some(&caller.token), None)
                .await
                .unwrap();
            assert_eq!(reply.status, 403, "{role}: {path}");
        }
    }
}
