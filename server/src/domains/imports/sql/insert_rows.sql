INSERT INTO import_rows (import_id, row, area_code, verdict, body, numbers)
SELECT $1, new.row, $2, 'waiting', new.body, new.numbers::bigint[]
FROM unnest($3::int[], $4::bytea[], $5::text[]) AS new (row, body, numbers)
