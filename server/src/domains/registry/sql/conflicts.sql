SELECT id, kind, subject, status, opened_at, decided_at, decided_by, decision
FROM conflicts
WHERE record_id = $1 OR other_id = $1
ORDER BY opened_at, id
