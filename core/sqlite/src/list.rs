//! Lists and search. Knows which tokens are looked for from `doorstep_core::search`, not what they mean.

use doorstep_core::ids::RecordId;
use doorstep_core::search;
use doorstep_core::store::{ListQuery, Listed};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};

use crate::error::StoreError;
use crate::register::{bytes, unpack};

/// Lists what a query asks for, by id.
pub(crate) fn list(from: &Connection, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
    let (sql, values) = statement(query);
    let mut statement = from.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Listed {
            id: RecordId::from_bytes(row.get(0)?),
            record_type: row.get(1)?,
            fields: unpack(bytes(row, 2)?, "record")?,
            pending: row.get(3)?,
        });
    }
    Ok(found)
}

/// The statement's text depends only on which conditions there are and how many terms, so that few are prepared.
fn statement(query: &ListQuery) -> (String, Vec<Sql>) {
    let mut sql = String::from(
        "SELECT id, type, fields, EXISTS (SELECT 1 FROM change c WHERE c.row = r.row AND c.confirmed = 0)
         FROM record r WHERE 1",
    );
    let mut values = Vec::new();
    if let Some(wanted) = &query.record_type {
        sql.push_str(" AND type = ?");
        values.push(Sql::Text(wanted.clone()));
    }
    if !query.cancelled {
        sql.push_str(" AND cancelled = 0");
    }
    if let Some(target) = query.linked_to {
        sql.push_str(" AND row IN (SELECT row FROM link WHERE target = ?)");
        values.push(Sql::Blob(target.as_bytes().to_vec()));
    }
    for term in search::query(&query.text).terms {
        // A JSON array, because the number of a term's tokens varies with what was typed.
        sql.push_str(
            " AND row IN (SELECT row FROM token WHERE token IN (SELECT value FROM json_each(?)))",
        );
        let tokens: Vec<String> = term.into_iter().collect();
        values.push(Sql::Text(
            serde_json::to_string(&tokens).unwrap_or_default(),
        ));
    }
    sql.push_str(" ORDER BY id LIMIT ? OFFSET ?");
    for number in [query.limit, query.offset] {
        values.push(Sql::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
    }
    (sql, values)
}

/// How many records of a type there are, cancelled ones included.
pub(crate) fn count(from: &Connection, record_type: Option<&str>) -> Result<u64, StoreError> {
    let count: i64 = from
        .prepare_cached("SELECT count(*) FROM record WHERE ?1 IS NULL OR type = ?1")?
        .query_row([record_type], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}
