-- Rows that tell of these records: of which they came or which they fit; without a record, by the numbers of certificates;
-- and without a record, what says the same as one of these.
WITH RECURSIVE about AS (
    SELECT import_id, row
    FROM import_rows
    WHERE record_id = ANY($1) OR duplicate_of = ANY($1) OR (record_id IS NULL AND numbers && $2)
    UNION
    SELECT again.import_id, again.row
    FROM about
    JOIN import_rows AS again ON again.import_id = about.import_id AND again.duplicate_row = about.row
    WHERE again.record_id IS NULL
), locked AS (
    SELECT held.import_id, held.row
    FROM about
    JOIN import_rows AS held ON held.import_id = about.import_id AND held.row = about.row
    ORDER BY held.import_id, held.row
    FOR UPDATE OF held
)
DELETE FROM import_rows
USING locked
WHERE import_rows.import_id = locked.import_id AND import_rows.row = locked.row
