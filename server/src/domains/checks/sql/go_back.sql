-- Checks that followed a merge ($1) are about the record that is one of its own again ($2): those that are open still,
-- and those that the merge had made needless. Where the same was asked since, that stands.
UPDATE checks SET resident = $2, status = 'open', ended_at = NULL
WHERE id = ANY($1) AND (status = 'open' OR status = 'closed' AND resident = $2)
    AND NOT EXISTS (
        SELECT FROM checks AS same
        WHERE same.id <> checks.id AND same.kind = checks.kind AND same.status = 'open'
            AND (same.household_token = checks.household_token
                OR same.kind = 'guardian' AND same.resident = $2 AND same.other = checks.other))
RETURNING id, kind, area_code::text, resident, residence, conflict_id, other, status, opened_at, due_at, escalated_at, ended_at,
    answered_by
