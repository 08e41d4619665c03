SELECT id, record_type, area_code::text, status, rows, at_row, counts, options, digest, failure, created_by, created_at,
    finished_at, version, wrapped_key, key_version, meta
FROM imports
WHERE id = (
    SELECT import_id
    FROM import_rows
    WHERE NOT numbers_kept AND record_id IS NULL
    ORDER BY import_id
    LIMIT 1
)
