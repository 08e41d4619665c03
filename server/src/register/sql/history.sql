SELECT record_id, hash, body, device_id, user_id, made_at, accepted_at
FROM changes
WHERE record_id = $1
ORDER BY ord
