-- A person's file asks for open items from either side, and so does erasing.
CREATE INDEX conflicts_other ON conflicts (other_id) WHERE other_id IS NOT NULL;
-- The queue of a street or the city, in the order of due times, however long it is.
CREATE INDEX conflicts_due ON conflicts (due_at, id) WHERE status = 'open';
