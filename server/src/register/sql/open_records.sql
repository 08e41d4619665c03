SELECT id, record_type, area_code::text, areas, merged_into, state, version, wrapped_key, key_version
FROM records
WHERE id = ANY($1) AND erased_at IS NULL
ORDER BY id
