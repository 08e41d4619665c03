SELECT id, kind, area_code::text, resident, residence, conflict_id, other, status, opened_at, due_at, escalated_at, ended_at,
    answered_by
FROM checks
WHERE id = $1
FOR UPDATE
