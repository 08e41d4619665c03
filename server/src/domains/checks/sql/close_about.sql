UPDATE checks SET status = 'closed', ended_at = $2
WHERE (resident = ANY($1) OR residence = ANY($1)) AND status = 'open'
RETURNING id, kind, area_code::text, resident, residence, conflict_id, other, status, opened_at, due_at, escalated_at, ended_at,
    answered_by
