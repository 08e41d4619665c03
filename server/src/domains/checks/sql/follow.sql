-- Open checks about a record that was merged away ($1) are about the survivor ($2). Where the same is asked of the
-- survivor already, or the survivor is whom a check names, there is nothing left to ask.
UPDATE checks SET
    resident = CASE WHEN held.needless THEN checks.resident ELSE $2 END,
    status = CASE WHEN held.needless THEN 'closed' ELSE checks.status END,
    ended_at = CASE WHEN held.needless THEN $3::timestamptz END
FROM (
    SELECT asked.id, coalesce(asked.other = $2, false) OR EXISTS (
        SELECT FROM checks AS same
        WHERE same.resident = $2 AND same.status = 'open' AND same.kind = 'guardian' AND asked.kind = 'guardian'
            AND same.other = asked.other) AS needless
    FROM checks AS asked
    WHERE asked.resident = $1 AND asked.status = 'open'
) AS held
WHERE checks.id = held.id
RETURNING checks.id, kind, area_code::text, resident, residence, conflict_id, other, status, opened_at, due_at, escalated_at,
    ended_at, answered_by
