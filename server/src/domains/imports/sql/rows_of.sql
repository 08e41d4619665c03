SELECT row, verdict, warnings, state, record_id, duplicate_of, duplicate_row, body
FROM import_rows
WHERE import_id = $1 AND ($2::text IS NULL OR verdict = $2) AND (NOT $3 OR warnings > 0) AND row > $4
ORDER BY row
LIMIT $5
