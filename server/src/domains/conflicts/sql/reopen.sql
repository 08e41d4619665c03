UPDATE conflicts
SET status = 'open', decided_at = NULL, decided_by = NULL, decision = NULL, outcome = NULL, due_at = $2,
    version = version + 1
WHERE id = ANY($1)
