-- Alarms that fit, the newest first. Every condition may be left out (null).
SELECT id, code, area_code::text, device_id, user_id, record_type, times, coalesce(since, at) AS since, at
FROM alarms
WHERE ($1::text IS NULL OR area_code LIKE $1)
    AND ($2::text IS NULL OR code = $2)
    AND ($3::uuid IS NULL OR device_id = $3)
    AND ($4::uuid IS NULL OR user_id = $4)
    AND ($5::timestamptz IS NULL OR (at, id) < ($5, $6::uuid))
ORDER BY at DESC, id DESC
LIMIT $7
