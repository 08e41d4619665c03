SELECT id, record_type, area_code::text, areas, erased_at IS NOT NULL AS erased, state, version, wrapped_key, key_version
FROM records
WHERE id = $1
