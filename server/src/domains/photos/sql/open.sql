-- Opens an upload or finds the one under way. Another size or type than before means that one of them was wrong: from
-- the beginning then.
INSERT INTO photo_uploads (id, digest, record_id, field, area_code, owner, media_type, size, opened_at, touched_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
ON CONFLICT ON CONSTRAINT photo_uploads_one DO UPDATE SET
    received = CASE
        WHEN photo_uploads.size = excluded.size AND photo_uploads.media_type = excluded.media_type THEN photo_uploads.received
        ELSE 0
    END,
    size = excluded.size,
    media_type = excluded.media_type,
    touched_at = excluded.touched_at
RETURNING id, digest, record_id, field, media_type, size, received
