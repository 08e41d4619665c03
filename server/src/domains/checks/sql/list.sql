-- Checks that fit, those first that are due first. Every condition may be left out (null).
SELECT id, kind, area_code::text, resident, residence, conflict_id, other, status, opened_at, due_at, escalated_at, ended_at,
    answered_by
FROM checks
WHERE ($1::text IS NULL OR area_code LIKE $1)
    AND ($2::uuid IS NULL OR resident = $2)
    AND ($3::text IS NULL OR kind = $3)
    AND ($4::text IS NULL OR status = $4)
    AND ($5::timestamptz IS NULL OR due_at < $5)
    AND ($6::timestamptz IS NULL OR (due_at, id) > ($6, $7::uuid))
ORDER BY due_at, id
LIMIT $8
