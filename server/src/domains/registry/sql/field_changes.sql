SELECT id, record_id, area_code::text AS area, field, user_id, device_id, made_at, accepted_at, body
FROM field_changes
WHERE ($1::text IS NULL OR area_code ^@ $1)
    AND ($2::uuid IS NULL OR record_id = $2)
    AND ($3::text IS NULL OR field = $3)
    AND ($4::timestamptz IS NULL OR accepted_at >= $4)
    AND ($5::timestamptz IS NULL OR accepted_at < $5)
    AND ($6::timestamptz IS NULL OR (accepted_at, id) < ($6, $7::uuid))
ORDER BY accepted_at DESC, id DESC
LIMIT $8
