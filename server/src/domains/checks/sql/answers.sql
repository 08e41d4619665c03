SELECT id, user_id
FROM events
WHERE event_type = 'check_answer' AND accepted_at > $1
    AND NOT EXISTS (SELECT FROM check_answers WHERE event_id = events.id)
ORDER BY accepted_at, id
LIMIT $2
