UPDATE import_rows
SET state = new.state
FROM unnest($2::int[], $3::text[]) AS new (row, state)
WHERE import_rows.import_id = $1 AND import_rows.row = new.row
