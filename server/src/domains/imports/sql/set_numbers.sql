-- The numbers of rows that were kept without them.
WITH new AS (
    SELECT row, numbers::bigint[] AS numbers FROM unnest($2::int[], $3::text[]) AS new (row, numbers)
), kept AS (
    UPDATE import_rows SET numbers_kept = true
    FROM new
    WHERE import_rows.import_id = $1 AND import_rows.row = new.row
)
INSERT INTO import_row_numbers (number, import_id, row)
SELECT DISTINCT number, $1::uuid, new.row FROM new CROSS JOIN unnest(new.numbers) AS number
ON CONFLICT DO NOTHING
