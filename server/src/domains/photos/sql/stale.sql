-- Ends uploads that nothing was heard of since $1, or whose record or event is no more.
WITH stale AS (
    SELECT id
    FROM photo_uploads AS upload
    WHERE touched_at < $1
        OR NOT EXISTS (SELECT FROM records WHERE id = upload.record_id AND erased_at IS NULL)
            AND NOT EXISTS (SELECT FROM events WHERE id = upload.record_id)
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
), dropped AS (
    DELETE FROM photo_uploads WHERE id IN (SELECT id FROM stale) RETURNING id
)
INSERT INTO photo_removals (id, at) SELECT id, $2 FROM dropped ON CONFLICT DO NOTHING
