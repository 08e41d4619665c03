-- Rows that tell of these records: of which they came or which they fit; without a record, by the numbers of certificates;
-- and without a record, what says the same as one of these. Each looked for by itself: as "one of these or one of those"
-- all rows of all files would be looked at.
WITH RECURSIVE told AS (
    SELECT import_id, row FROM import_rows WHERE record_id = ANY($1)
    UNION
    SELECT import_id, row FROM import_rows WHERE duplicate_of = ANY($1)
    UNION
    SELECT held.import_id, held.row
    FROM import_row_numbers AS kept
    JOIN import_rows AS held ON held.import_id = kept.import_id AND held.row = kept.row
    WHERE kept.number = ANY($2) AND held.record_id IS NULL
), about AS (
    SELECT import_id, row FROM told
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
