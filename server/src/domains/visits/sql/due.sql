-- People and houses whose latest visit planned the next one for a day that has come.
WITH latest AS (
    SELECT DISTINCT ON (subject.subject) subject.subject AS record, visit.facets ->> 'next_on' AS next_on, visit.id,
        visit.happened_at, visit.user_id
    FROM events AS visit
    JOIN event_subjects AS subject ON subject.event_id = visit.id
    WHERE visit.event_type = 'visit' AND ($1::text IS NULL OR visit.area_code ^@ $1)
    ORDER BY subject.subject, visit.happened_at DESC, visit.id DESC
)
SELECT records.id AS record, records.record_type, records.area_code::text AS area, calendar_day(next_on) AS due_on,
    latest.id AS last_visit, latest.happened_at AS last_at, latest.user_id AS user
FROM latest
JOIN records ON records.id = latest.record
WHERE next_on <= $2::date::text AND calendar_day(next_on) IS NOT NULL AND NOT records.cancelled
    AND ($3::date IS NULL OR (next_on, records.id) > ($3::text, $4::uuid))
ORDER BY next_on, records.id
LIMIT $5
