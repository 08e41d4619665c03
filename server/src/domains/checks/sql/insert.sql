INSERT INTO checks (id, kind, area_code, resident, residence, conflict_id, other, household_token, status, opened_at, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $9, $10)
ON CONFLICT DO NOTHING
RETURNING id, kind, area_code::text, resident, residence, conflict_id, other, status, opened_at, due_at, escalated_at, ended_at,
    answered_by
