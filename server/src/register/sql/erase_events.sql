-- A visit's note may tell of the person; so the event goes, of whatever else it tells.
DELETE FROM events
WHERE id IN (SELECT event_id FROM event_subjects WHERE subject = ANY($1))
RETURNING id, area_code::text
