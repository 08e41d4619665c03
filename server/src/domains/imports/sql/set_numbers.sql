UPDATE import_rows
SET numbers = new.numbers::bigint[]
FROM unnest($2::int[], $3::text[]) AS new (row, numbers)
WHERE import_rows.import_id = $1 AND import_rows.row = new.row
