SELECT id, kind, record_id, subject, area_code::text, wrapped_key, key_version, body
FROM conflicts
WHERE record_id = ANY($1) AND status = 'open'
FOR UPDATE
