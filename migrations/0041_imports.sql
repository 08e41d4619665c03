-- Registers brought in from files: the file's rows sealed, what each comes to, and how far the work has come.
CREATE TABLE imports (
    id          uuid        PRIMARY KEY,
    record_type text        NOT NULL CHECK (record_type IN ('resident', 'house')),
    area_code   area_code   NOT NULL REFERENCES areas (code),
    status      text        NOT NULL CHECK (status IN ('uploaded', 'checking', 'checked', 'running', 'done',
        'undoing', 'undone', 'failed')),
    rows        integer     NOT NULL,
    -- The last row handled in the present step.
    at_row      integer     NOT NULL DEFAULT 0,
    counts      jsonb       NOT NULL DEFAULT '{}',
    options     jsonb       NOT NULL,
    -- SM3 of the file.
    digest      bytea       NOT NULL CHECK (length(digest) = 32),
    -- The step that failed, and the error's code.
    failure     text,
    created_by  uuid        NOT NULL,
    created_at  timestamptz NOT NULL,
    finished_at timestamptz,
    -- Whose work it is until then; a node that died lets go of it.
    lease_until timestamptz,
    version     integer     NOT NULL DEFAULT 1,
    -- The file's name, heads and what is said about them, sealed.
    wrapped_key bytea       NOT NULL,
    key_version integer     NOT NULL,
    meta        bytea       NOT NULL
);
CREATE INDEX imports_area_code ON imports (area_code text_pattern_ops, created_at, id);
CREATE INDEX imports_digest ON imports (digest);
CREATE INDEX imports_under_way ON imports (lease_until) WHERE status IN ('checking', 'running', 'undoing');
CALL scope_by_area('imports', 'area_code');

CREATE TABLE import_rows (
    import_id     uuid      NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    -- The row's number in the file; heads are row 1.
    row           integer   NOT NULL,
    area_code     area_code NOT NULL,
    verdict       text      NOT NULL CHECK (verdict IN ('waiting', 'new', 'unchanged', 'changed', 'duplicate', 'error')),
    warnings      integer   NOT NULL DEFAULT 0,
    state         text      NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'undone', 'kept')),
    record_id     uuid,
    -- The record or the earlier row that says the same.
    duplicate_of  uuid,
    duplicate_row integer,
    -- Cells, problems, and what was written with what stood before, sealed under the import's key.
    body          bytea     NOT NULL,
    PRIMARY KEY (import_id, row)
);
CREATE INDEX import_rows_verdict ON import_rows (import_id, verdict, row);
CALL scope_by_area('import_rows', 'area_code');
