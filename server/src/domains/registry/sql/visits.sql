-- Those about a record, and about the records that were merged into it.
WITH RECURSIVE subject AS (
    SELECT $1::uuid AS id
    UNION
    SELECT records.id FROM subject JOIN records ON records.merged_into = subject.id
)
SELECT DISTINCT event_id, happened_at
FROM event_subjects
WHERE subject IN (SELECT id FROM subject) AND event_type = 'visit'
ORDER BY happened_at DESC, event_id DESC
LIMIT $2
