-- Items that go with the records $1: about them, or of what was refused ($2: those from which something was taken) with
-- nothing else left to decide. Where other people's edits are left, they stay with the supervisor.
SELECT id, area_code::text FROM conflicts
WHERE record_id = ANY($1) OR other_id = ANY($1)
   OR id = ANY($2) AND (status <> 'open' OR NOT EXISTS (SELECT FROM refused_items WHERE conflict_id = conflicts.id))
ORDER BY id
FOR UPDATE
