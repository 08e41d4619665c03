-- A visit's note may tell of the person; so the event goes, of whatever else it tells. One that has a record's id, as it
-- could before 0084, is not named: whoever was told to forget it would forget the record.
WITH gone AS (
    DELETE FROM events
    WHERE id IN (SELECT event_id FROM event_subjects WHERE subject = ANY($1))
    RETURNING id, area_code::text AS area
), named AS (
    SELECT id, area FROM gone WHERE NOT EXISTS (SELECT FROM records WHERE records.id = gone.id)
), free AS (
    DELETE FROM register_ids WHERE id IN (SELECT id FROM named)
)
SELECT id, area FROM named
