-- Records that never came to be, since they tell of someone erased: kept like what was erased, by id alone.
WITH named AS (
    INSERT INTO register_ids (id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO records (id, record_type, area_code, areas, epoch, cancelled, heads, state, version, wrapped_key, key_version,
    facets, created_at, updated_at, erased_at)
SELECT id, record_type, area_code, ARRAY[area_code], 1, true, '', '', 1, '', 1, '{}', $4, $4, $4
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS new (id, record_type, area_code)
JOIN named USING (id)
ON CONFLICT DO NOTHING
