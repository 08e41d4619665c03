-- Type, areas, epoch and key stay: no change of a record moves them.
UPDATE records SET
    cancelled = new.cancelled,
    heads = new.heads,
    state = new.state,
    version = new.version,
    facets = new.facets,
    updated_by = new.updated_by,
    updated_at = $8
FROM unnest($1::uuid[], $2::bool[], $3::bytea[], $4::bytea[], $5::int[], $6::jsonb[], $7::uuid[])
    AS new (id, cancelled, heads, state, version, facets, updated_by)
WHERE records.id = new.id
