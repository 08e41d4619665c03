UPDATE imports
SET lease_until = $2, version = version + 1
WHERE id = (
    SELECT id
    FROM imports
    WHERE status IN ('checking', 'running', 'undoing') AND (lease_until IS NULL OR lease_until < $1)
    ORDER BY created_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, record_type, area_code::text, status, rows, at_row, counts, options, digest, failure, created_by, created_at,
    finished_at, version, wrapped_key, key_version, meta
