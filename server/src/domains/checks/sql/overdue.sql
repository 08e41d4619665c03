SELECT id, kind, area_code::text, resident, residence, conflict_id, other, status, opened_at, due_at, escalated_at, ended_at,
    answered_by
FROM checks
WHERE status = 'open' AND escalated_at IS NULL AND due_at <= $1
ORDER BY due_at
LIMIT 1
FOR UPDATE SKIP LOCKED
