SELECT id, kind, area_code::text, record_id, other_id, subject, status, assignee, due_at, opened_at, decided_at,
    decided_by, decision, version, wrapped_key, key_version, body, outcome
FROM conflicts
WHERE ($1::text IS NULL OR (area_code ~>=~ $1 AND area_code ~<~ $13))
    AND ($2::text IS NULL OR kind = $2)
    AND ($3::text IS NULL OR status = $3)
    AND ($4::uuid IS NULL OR assignee = $4)
    AND (NOT $5 OR assignee IS NULL)
    AND ($6::text IS NULL OR (subject = $6 AND kind IN ('field', 'update_cancelled')))
    AND ($7::uuid IS NULL OR record_id = $7 OR other_id = $7)
    AND ($8::timestamptz IS NULL OR (status = 'open' AND due_at < $8))
    AND ($9::timestamptz IS NULL OR opened_at <= $9)
    AND ($10::timestamptz IS NULL OR (due_at, id) > ($10, $11))
ORDER BY due_at, id
LIMIT $12
