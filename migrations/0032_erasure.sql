-- An erased record keeps its id and its epoch, so that what a phone still sends for it is known to come too late.
-- Its key, values, changes and links are gone.
ALTER TABLE records ADD COLUMN erased_at timestamptz;
ALTER TABLE records ADD CONSTRAINT records_erased CHECK (
    erased_at IS NULL OR (state = '' AND wrapped_key = '' AND heads = '' AND facets = '{}' AND cancelled));
