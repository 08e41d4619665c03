SELECT event_id, happened_at
FROM event_subjects
WHERE subject = $1 AND event_type = 'visit'
ORDER BY happened_at DESC, event_id DESC
LIMIT $2
