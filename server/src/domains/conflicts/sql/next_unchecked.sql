SELECT id, kind, area_code::text, record_id, other_id, subject, status, assignee, due_at, opened_at, decided_at,
    decided_by, decision, version, wrapped_key, key_version, body, outcome
FROM conflicts
WHERE kind = 'main_residence' AND status = 'open' AND checks_opened_at IS NULL
ORDER BY opened_at, id
LIMIT 1
FOR UPDATE SKIP LOCKED
