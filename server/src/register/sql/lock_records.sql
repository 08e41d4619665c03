SELECT id, record_type, area_code::text, areas, epoch, heads, state, version, wrapped_key, key_version
FROM records
WHERE id = ANY($1)
ORDER BY id
FOR UPDATE
