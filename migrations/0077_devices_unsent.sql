-- The devices whose edits have waited longest come first.
CREATE INDEX devices_unsent ON devices ((coalesce(unsent_since, enrolled_at)), id) WHERE unsent > 0;
