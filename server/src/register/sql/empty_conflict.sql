-- Nothing of it can be opened any more: neither what it says nor what its decision left, nor what was refused.
WITH refused AS (
    DELETE FROM refused_items WHERE conflict_id = $1
)
UPDATE conflicts SET
    wrapped_key = $2,
    key_version = $3,
    body = $4,
    outcome = NULL,
    decided_at = coalesce(decided_at, $5),
    decision = coalesce(decision, 'erased'),
    status = CASE status WHEN 'open' THEN 'dismissed' ELSE status END,
    version = version + 1
WHERE id = $1
