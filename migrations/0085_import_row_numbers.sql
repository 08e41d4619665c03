-- A row of a file tells of a person also where no record came of it: one in error, one of a file that was only checked.
-- Its certificates' numbers, as blind tokens, so that an erasure finds it. Of rows from before this step, whose text is
-- sealed: null, until an erasure reads them.
ALTER TABLE import_rows ADD COLUMN numbers bigint[];
CREATE INDEX import_rows_numbers ON import_rows USING gin (numbers) WHERE record_id IS NULL;
CREATE INDEX import_rows_unread ON import_rows (import_id, row) WHERE numbers IS NULL AND record_id IS NULL;
CREATE INDEX import_rows_duplicate_row ON import_rows (import_id, duplicate_row) WHERE duplicate_row IS NOT NULL;
