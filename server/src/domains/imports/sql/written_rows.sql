SELECT row, verdict, warnings, state, record_id, duplicate_of, duplicate_row, body
FROM import_rows
WHERE import_id = $1 AND state = 'done'
ORDER BY row DESC
LIMIT $2
