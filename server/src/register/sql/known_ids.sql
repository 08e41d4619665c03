-- Those of these ids that are an event's, and those of the events' ids that are a record's.
SELECT id, true AS is_event FROM events WHERE id = ANY($1)
UNION ALL
SELECT id, false FROM records WHERE id = ANY($2)
