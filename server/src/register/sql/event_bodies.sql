SELECT id, event_type, area_code::text, user_id, key_version, wrapped_key, body
FROM events
WHERE id = ANY($1)
ORDER BY id
