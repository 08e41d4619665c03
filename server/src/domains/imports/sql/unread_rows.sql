SELECT row, verdict, warnings, state, record_id, duplicate_of, duplicate_row, body
FROM import_rows
WHERE import_id = $1 AND NOT numbers_kept AND record_id IS NULL
ORDER BY row
LIMIT $2
