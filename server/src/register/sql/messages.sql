-- What a user was told, the newest first.
SELECT key, json, changed_at
FROM states
WHERE scope = $1 AND (key LIKE 'message/%' OR key LIKE 'reminder/%') AND json <> ''
    AND ($2::timestamptz IS NULL OR (changed_at, key) < ($2, $3))
ORDER BY changed_at DESC, key DESC
LIMIT $4
