WITH named AS (
    INSERT INTO register_ids (id) SELECT unnest($1::uuid[])
)
INSERT INTO records (id, record_type, area_code, areas, epoch, wrapped_key, key_version, cancelled, heads, state,
    version, facets, updated_by, created_at, updated_at)
SELECT id, record_type, area_code, areas::text[], epoch, wrapped_key, key_version, cancelled, heads, state,
    version, facets, updated_by, $14, $14
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bytea[], $7::int[], $8::bool[],
    $9::bytea[], $10::bytea[], $11::int[], $12::jsonb[], $13::uuid[])
    AS new (id, record_type, area_code, areas, epoch, wrapped_key, key_version, cancelled, heads, state,
        version, facets, updated_by)
