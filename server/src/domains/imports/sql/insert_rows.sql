INSERT INTO import_rows (import_id, row, area_code, verdict, body)
SELECT $1, new.row, $2, 'waiting', new.body
FROM unnest($3::int[], $4::bytea[]) AS new (row, body)
