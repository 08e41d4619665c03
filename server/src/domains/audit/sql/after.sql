SELECT seq, at, user_id, device_id, action, outcome, area_code::text, subject_kind, subject_id,
       detail, request_id, address, prev_hash, hash
FROM audit_entries
WHERE seq > $1
ORDER BY seq
LIMIT $2
