-- What a decision leaves: its note and the values that stood before, sealed; and who gave the item to whom.
ALTER TABLE conflicts
    ADD COLUMN outcome     bytea,
    ADD COLUMN assigned_by uuid,
    ADD COLUMN assigned_at timestamptz;
CREATE INDEX conflicts_assignee ON conflicts (assignee, due_at, id) WHERE status = 'open';
