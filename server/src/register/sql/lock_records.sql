SELECT id, record_type, area_code::text, areas, merged_into, epoch, heads, state, version, wrapped_key, key_version,
    erased_at IS NOT NULL AS erased
FROM records
WHERE id = ANY($1)
ORDER BY id
FOR UPDATE
