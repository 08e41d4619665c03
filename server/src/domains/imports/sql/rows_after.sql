SELECT row, verdict, warnings, state, record_id, duplicate_of, duplicate_row, body
FROM import_rows
WHERE import_id = $1 AND row > $2
ORDER BY row
LIMIT $3
