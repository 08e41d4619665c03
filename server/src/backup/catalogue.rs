//! What the database says of its own tables: columns, keys, who refers to whom, sequences. Knows no file.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use sqlx::PgConnection;

use super::LEFT_OUT;

const TABLES: &str = "SELECT relname::text FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname";
const COLUMNS: &str = "SELECT attname::text FROM pg_attribute
    WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum";
const KEY: &str =
    "SELECT attname::text FROM pg_index, unnest(indkey) WITH ORDINALITY AS part (number, place)
    JOIN pg_attribute ON attnum = number
    WHERE indrelid = $1::regclass AND attrelid = indrelid AND indisprimary ORDER BY place";
const REFERENCES: &str =
    "SELECT DISTINCT source.relname::text, target.relname::text FROM pg_constraint
    JOIN pg_class source ON source.oid = conrelid JOIN pg_class target ON target.oid = confrelid
    WHERE contype = 'f' AND conrelid <> confrelid";
const SEQUENCES: &str = "SELECT sequencename::text, last_value FROM pg_sequences
    WHERE schemaname = 'public' AND last_value IS NOT NULL ORDER BY 1";
const WALLED: &str = "SELECT relname::text FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relforcerowsecurity ORDER BY relname";

const INDEXES: &str = "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relnamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
    ORDER BY 1";

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) key: Vec<String>,
}

/// All tables that are backed up, each after those it refers to.
pub(super) async fn tables(database: &mut PgConnection) -> anyhow::Result<Vec<Table>> {
    let mut names: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *database).await?;
    names.retain(|name| !LEFT_OUT.contains(&name.as_str()));
    let references: Vec<(String, String)> =
        sqlx::query_as(REFERENCES).fetch_all(&mut *database).await?;
    let mut tables = Vec::with_capacity(names.len());
    for name in in_order(names, &references)? {
        let columns = sqlx::query_scalar(COLUMNS)
            .bind(&name)
            .fetch_all(&mut *database)
            .await?;
        let key: Vec<String> = sqlx::query_scalar(KEY)
            .bind(&name)
            .fetch_all(&mut *database)
            .await?;
        ensure!(!key.is_empty(), "table {name} has no primary key");
        tables.push(Table { name, columns, key });
    }
    Ok(tables)
}

/// The names of all tables there are, whether they are backed up or not.
pub(super) async fn all_names(database: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    Ok(sqlx::query_scalar(TABLES).fetch_all(database).await?)
}

/// The tables whose owner, too, stands before the wall of areas.
pub(super) async fn walled(database: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    Ok(sqlx::query_scalar(WALLED).fetch_all(database).await?)
}

/// The indexes that no key and no reference rests on: the name as SQL writes it, and the statement that makes it.
pub(super) async fn indexes(database: &mut PgConnection) -> anyhow::Result<Vec<(String, String)>> {
    Ok(sqlx::query_as(INDEXES).fetch_all(database).await?)
}

/// Where the sequences stand.
pub(super) async fn sequences(database: &mut PgConnection) -> anyhow::Result<Vec<(String, i64)>> {
    Ok(sqlx::query_as(SEQUENCES).fetch_all(database).await?)
}

/// Each name after those it refers to.
fn in_order(names: Vec<String>, references: &[(String, String)]) -> anyhow::Result<Vec<String>> {
    let mut waiting: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for name in &names {
        let to = references.iter().filter(|(from, _)| from == name);
        let to = to
            .map(|(_, to)| to.as_str())
            .filter(|to| names.iter().any(|name| name == to));
        waiting.insert(name.clone(), to.collect());
    }
    let mut ordered: Vec<String> = Vec::with_capacity(names.len());
    while !waiting.is_empty() {
        let next = waiting
            .iter()
            .find(|(_, to)| to.iter().all(|to| ordered.iter().any(|done| done == to)))
            .map(|(name, _)| name.clone());
        let Some(next) = next else {
            anyhow::bail!("tables refer to each other in a circle: {waiting:?}");
        };
        waiting.remove(&next);
        ordered.push(next);
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_table_comes_after_those_it_refers_to() {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let to = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let ordered = in_order(
            names.clone(),
            &[to("a", "c"), to("c", "b"), to("b", "gone")],
        );
        assert_eq!(ordered.unwrap(), ["b", "c", "a"]);
        assert!(in_order(names, &[to("a", "b"), to("b", "a")]).is_err());
    }
}
