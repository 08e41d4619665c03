-- Rows of a file, with the numbers that they are found by.
WITH new AS (
    SELECT row, body, numbers::bigint[] AS numbers
    FROM unnest($3::int[], $4::bytea[], $5::text[]) AS new (row, body, numbers)
), kept AS (
    INSERT INTO import_rows (import_id, row, area_code, verdict, body, numbers_kept)
    SELECT $1, row, $2, 'waiting', body, true FROM new
)
INSERT INTO import_row_numbers (number, import_id, row)
SELECT DISTINCT number, $1::uuid, new.row FROM new CROSS JOIN unnest(new.numbers) AS number
