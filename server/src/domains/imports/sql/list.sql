SELECT id, record_type, area_code::text, status, rows, at_row, counts, options, digest, failure, created_by, created_at,
    finished_at, version, wrapped_key, key_version, meta
FROM imports
WHERE ($1::text IS NULL OR area_code LIKE $1)
    AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
ORDER BY created_at DESC, id DESC
LIMIT $4
