-- Who is reminded of what: found by the record when there is nothing to be reminded of any more.
CREATE INDEX states_reminders ON states (key, scope) WHERE key LIKE 'reminder/%' AND json <> '';
