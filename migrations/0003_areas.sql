-- The city's areas. A code stays for ever: a retired area keeps its row, so that old records still name it.
CREATE TABLE area_versions (
    version      integer     PRIMARY KEY CHECK (version > 0),
    effective_on date        NOT NULL,
    note         text        NOT NULL,
    created_at   timestamptz NOT NULL,
    created_by   uuid
);

CREATE TABLE areas (
    code       area_code PRIMARY KEY,
    name       text      NOT NULL CHECK (name <> ''),
    level      text      NOT NULL CHECK (level IN ('city', 'district', 'street', 'village')),
    parent     area_code REFERENCES areas (code) DEFERRABLE INITIALLY DEFERRED,
    -- The version that gave the row its present content.
    changed_in integer   NOT NULL REFERENCES area_versions (version),
    retired_in integer   REFERENCES area_versions (version)
);
CREATE INDEX areas_parent ON areas (parent);
CREATE INDEX areas_changed_in ON areas (changed_in);

-- What each version changed: the difference between any two versions is the fold of those between them.
CREATE TABLE area_changes (
    version     integer   NOT NULL REFERENCES area_versions (version),
    code        area_code NOT NULL REFERENCES areas (code),
    kind        text      NOT NULL CHECK (kind IN ('added', 'renamed', 'moved', 'retired', 'restored')),
    name_before text,
    name_after  text,
    parent_before text,
    parent_after  text,
    PRIMARY KEY (version, code)
);
REVOKE UPDATE, DELETE ON area_versions, area_changes FROM doorstep_app;
REVOKE DELETE ON areas FROM doorstep_app;
