SELECT count(DISTINCT subject)
FROM event_subjects
WHERE verifies AND event_id IN (
    SELECT id
    FROM events
    WHERE event_type = 'visit'
        AND ($1::text IS NULL OR area_code ^@ $1)
        AND ($2::uuid IS NULL OR id = ANY (ARRAY(SELECT event_id FROM event_subjects WHERE subject = $2)))
        AND ($3::uuid IS NULL OR user_id = $3)
        AND ($4::timestamptz IS NULL OR happened_at >= $4)
        AND ($5::timestamptz IS NULL OR happened_at < $5)
        AND ($6::jsonb IS NULL OR facets @> $6)
)
