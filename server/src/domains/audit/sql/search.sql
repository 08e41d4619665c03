SELECT seq, at, user_id, device_id, action, outcome, area_code::text, subject_kind, subject_id,
       detail, request_id, address, prev_hash, hash
FROM audit_entries
WHERE ($1::bigint IS NULL OR seq < $1)
  AND ($2::uuid IS NULL OR user_id = $2)
  AND ($3::text[] IS NULL OR action = ANY($3))
  AND ($4::text IS NULL OR outcome = $4)
  AND ($5::text IS NULL OR subject_id = $5)
  AND ($6::timestamptz IS NULL OR at >= $6)
  AND ($7::timestamptz IS NULL OR at < $7)
ORDER BY seq DESC
LIMIT $8
