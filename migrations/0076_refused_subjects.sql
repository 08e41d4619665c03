-- A refused visit tells of people too: found by them when they are erased. What was refused before this step says
-- nothing of whom it is about (its text is sealed): null.
ALTER TABLE refused_items ADD COLUMN subjects uuid[];
CREATE INDEX refused_items_subjects ON refused_items USING gin (subjects);
CREATE INDEX refused_items_unread ON refused_items (id) WHERE subjects IS NULL;
