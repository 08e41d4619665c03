-- By a phone's clock that was ahead nobody is verified until then: at most a day after the visit came in.
SELECT set_config('doorstep.areas', '%', true);
UPDATE event_subjects
SET happened_at = events.accepted_at + interval '1 day'
FROM events
WHERE events.id = event_subjects.event_id AND event_subjects.happened_at > events.accepted_at + interval '1 day';
