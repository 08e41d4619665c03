SELECT id, record_type, epoch, area_code::text, key_version, wrapped_key
FROM records
WHERE id = ANY($1) AND areas @> ARRAY[$2] AND erased_at IS NULL
