-- An erased person's rows of files go too: found by the record that a row made or fitted.
CREATE INDEX import_rows_record ON import_rows (record_id) WHERE record_id IS NOT NULL;
CREATE INDEX import_rows_duplicate_of ON import_rows (duplicate_of) WHERE duplicate_of IS NOT NULL;
