-- A row of a file tells of a person also where no record came of it: one in error, one of a file that was only checked.
-- The certificates' numbers in it, as blind tokens, so that an erasure finds it. Beside the wall, as what records are
-- searched by (ADR 008); its rows are looked up in import_rows, which is behind it.
CREATE TABLE import_row_numbers (
    number    bigint  NOT NULL,
    import_id uuid    NOT NULL,
    row       integer NOT NULL,
    PRIMARY KEY (number, import_id, row),
    FOREIGN KEY (import_id, row) REFERENCES import_rows ON DELETE CASCADE
);
CREATE INDEX import_row_numbers_row ON import_row_numbers (import_id, row);
-- Of rows from before this step, whose text is sealed, an erasure reads them.
ALTER TABLE import_rows ADD COLUMN numbers_kept boolean NOT NULL DEFAULT false;
CREATE INDEX import_rows_unread ON import_rows (import_id, row) WHERE NOT numbers_kept AND record_id IS NULL;
CREATE INDEX import_rows_duplicate_row ON import_rows (import_id, duplicate_row) WHERE duplicate_row IS NOT NULL;
