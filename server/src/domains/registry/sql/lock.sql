SELECT id, record_type, area_code::text, areas, cancelled, version, updated_at, updated_by, state, wrapped_key, key_version,
    NULL::timestamptz AS verified_at
FROM records
WHERE id = ANY($1) AND erased_at IS NULL AND merged_into IS NULL
ORDER BY id
FOR UPDATE
