UPDATE conflicts
SET status = $2, decided_at = $3, decided_by = $4, decision = $5, outcome = $6, version = version + 1
WHERE id = $1
