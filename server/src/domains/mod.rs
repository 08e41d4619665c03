//! The business of the server, one folder a domain: routes, service, store, model and sql.
//! A domain calls another's service, never its store.
