UPDATE conflicts SET
    wrapped_key = $2,
    key_version = $3,
    body = $4,
    decided_at = coalesce(decided_at, $5),
    decision = coalesce(decision, 'erased'),
    status = CASE status WHEN 'open' THEN 'dismissed' ELSE status END,
    version = version + 1
WHERE id = $1
