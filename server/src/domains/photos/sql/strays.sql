-- Of these ids of objects, those that no row knows: left by a database that was set back, say.
INSERT INTO photo_removals (id, at)
SELECT id, $2
FROM unnest($1::uuid[]) AS object (id)
WHERE NOT EXISTS (SELECT FROM photos WHERE photos.id = object.id)
    AND NOT EXISTS (SELECT FROM photo_uploads AS upload WHERE upload.id = object.id)
ON CONFLICT DO NOTHING
