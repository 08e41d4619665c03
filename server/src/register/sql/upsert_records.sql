WITH new AS (
    SELECT id, record_type, area_code, areas::text[], epoch, cancelled, heads, state, version, wrapped_key,
        key_version, tokens::bigint[], facets, updated_by
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bool[], $7::bytea[], $8::bytea[],
        $9::int[], $10::bytea[], $11::int[], $12::text[], $13::jsonb[], $14::uuid[])
        AS new (id, record_type, area_code, areas, epoch, cancelled, heads, state, version, wrapped_key,
            key_version, tokens, facets, updated_by)
), written AS (
    INSERT INTO records (id, record_type, area_code, areas, epoch, cancelled, heads, state, version, wrapped_key,
        key_version, facets, updated_by, created_at, updated_at)
    SELECT id, record_type, area_code, areas, epoch, cancelled, heads, state, version, wrapped_key, key_version,
        facets, updated_by, $15, $15
    FROM new
    ON CONFLICT (id) DO UPDATE SET
        areas = excluded.areas,
        cancelled = excluded.cancelled,
        heads = excluded.heads,
        state = excluded.state,
        version = excluded.version,
        wrapped_key = excluded.wrapped_key,
        key_version = excluded.key_version,
        facets = excluded.facets,
        updated_by = excluded.updated_by,
        updated_at = excluded.updated_at
)
INSERT INTO record_tokens (record_id, areas, tokens)
SELECT id, area_line(areas), tokens FROM new
ON CONFLICT (record_id) DO UPDATE SET areas = excluded.areas, tokens = excluded.tokens
WHERE (record_tokens.areas, record_tokens.tokens) IS DISTINCT FROM (excluded.areas, excluded.tokens)
