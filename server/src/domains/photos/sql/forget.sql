-- What is erased leaves no photo and no upload. An upload that another request holds just now is passed over: that
-- request finds the record gone, and `stale.sql` the upload.
WITH held AS (
    SELECT id FROM photo_uploads WHERE record_id = ANY($1) FOR UPDATE SKIP LOCKED
), dropped AS (
    DELETE FROM photo_uploads WHERE id IN (SELECT id FROM held) RETURNING id
), gone AS (
    DELETE FROM photos WHERE record_id = ANY($1) RETURNING id
)
INSERT INTO photo_removals (id, at)
SELECT id, $2::timestamptz FROM dropped UNION SELECT id, $2::timestamptz FROM gone
ON CONFLICT DO NOTHING
