-- The register: records with their changes, events, the logs of scopes, envelopes, and what a person must decide.
-- What a person wrote is sealed under the record's key. What stands in clear is what the declarations call open.

-- Puts a table with an array of areas behind the wall (see scope_by_area in 0001).
CREATE PROCEDURE scope_by_areas(target regclass, area_column name)
    LANGUAGE plpgsql
    AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format(
        'CREATE POLICY within_areas ON %s USING (EXISTS (SELECT FROM unnest(%I) AS held
            WHERE held LIKE ANY ((SELECT area_patterns())::text[])))',
        target, area_column);
END
$$;

CREATE TABLE records (
    id          uuid        PRIMARY KEY,
    record_type text        NOT NULL,
    -- The area it was made in; its key wraps the record's.
    area_code   area_code   NOT NULL,
    -- The areas whose devices hold it.
    areas       text[]      NOT NULL CHECK (cardinality(areas) > 0),
    epoch       integer     NOT NULL DEFAULT 0,
    cancelled   boolean     NOT NULL,
    -- The survivor, when two records of one person were merged.
    merged_into uuid        REFERENCES records (id),
    -- The heads of its document, 32 bytes each, ascending.
    heads       bytea       NOT NULL,
    -- Its registers (MessagePack), sealed.
    state       bytea       NOT NULL,
    -- Counts the writes; part of what seals the state.
    version     integer     NOT NULL,
    wrapped_key bytea       NOT NULL,
    key_version integer     NOT NULL,
    -- Blind tokens of what it is found by.
    tokens      bigint[]    NOT NULL,
    -- Its open fields, and what is derived from them.
    facets      jsonb       NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    updated_by  uuid
);
CREATE INDEX records_tokens ON records USING gin (tokens);
CREATE INDEX records_areas ON records USING gin (areas);
CREATE INDEX records_area_type ON records (area_code text_pattern_ops, record_type, id);
CREATE INDEX records_facets ON records USING gin (facets jsonb_path_ops);
CALL scope_by_areas('records', 'areas');

-- Which record refers to which, by field.
CREATE TABLE links (
    record_id uuid NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    field     text NOT NULL,
    target    uuid NOT NULL,
    PRIMARY KEY (record_id, field)
);
CREATE INDEX links_target ON links (target, field);

CREATE TABLE changes (
    record_id   uuid        NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    hash        bytea       NOT NULL CHECK (length(hash) = 32),
    -- The order of acceptance: each change after those it builds on.
    ord         bigint      GENERATED ALWAYS AS IDENTITY,
    actor       bytea       NOT NULL CHECK (length(actor) = 16),
    seq         bigint      NOT NULL,
    epoch       integer     NOT NULL,
    device_id   uuid        NOT NULL,
    user_id     uuid,
    made_at     timestamptz NOT NULL,
    accepted_at timestamptz NOT NULL,
    -- The Automerge chunk, sealed under the record's key.
    body        bytea       NOT NULL,
    PRIMARY KEY (record_id, hash),
    CONSTRAINT changes_actor_seq UNIQUE (record_id, actor, seq)
);
CREATE INDEX changes_accepted_at ON changes (accepted_at);
CREATE INDEX changes_user_id ON changes (user_id, accepted_at);

CREATE TABLE events (
    id          uuid        PRIMARY KEY,
    event_type  text        NOT NULL,
    area_code   area_code   NOT NULL,
    user_id     uuid        NOT NULL,
    device_id   uuid        NOT NULL,
    happened_at timestamptz NOT NULL,
    accepted_at timestamptz NOT NULL,
    -- The records it is about.
    subjects    uuid[]      NOT NULL,
    facets      jsonb       NOT NULL,
    wrapped_key bytea       NOT NULL,
    key_version integer     NOT NULL,
    body        bytea       NOT NULL
);
CREATE INDEX events_area_code ON events (area_code text_pattern_ops, event_type, happened_at);
CREATE INDEX events_subjects ON events USING gin (subjects);
CALL scope_by_area('events', 'area_code');

-- The end of each scope's log and the digest of what the scope holds. Its row's lock orders the log.
CREATE TABLE scopes (
    scope  text   PRIMARY KEY,
    seq    bigint NOT NULL DEFAULT 0,
    digest bytea  NOT NULL DEFAULT decode(repeat('00', 16), 'hex')
);

CREATE TABLE scope_log (
    scope       text     NOT NULL,
    seq         bigint   NOT NULL,
    -- 1 change, 2 whole record, 3 state, 4 event, 5 leave, 6 erase.
    kind        smallint NOT NULL CHECK (kind BETWEEN 1 AND 6),
    record_id   uuid,
    change_hash bytea,
    -- The device that made it: it is only told that its own change was taken.
    device_id   uuid,
    state_key   text,
    PRIMARY KEY (scope, seq)
);
REVOKE UPDATE ON scope_log FROM doorstep_app;

-- What the server alone decides, as it stands now. JSON as text; no personal data.
CREATE TABLE states (
    scope      text        NOT NULL,
    key        text        NOT NULL,
    json       text        NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
);

-- Every envelope that was answered, so that a repeated one gets the same answer.
CREATE TABLE envelopes (
    device_id   uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    seq         bigint      NOT NULL,
    digest      bytea       NOT NULL,
    outcomes    bytea       NOT NULL,
    accepted_at timestamptz NOT NULL,
    PRIMARY KEY (device_id, user_id, seq)
);

-- What a person must decide.
CREATE TABLE conflicts (
    id           uuid        PRIMARY KEY,
    kind         text        NOT NULL,
    area_code    area_code   NOT NULL,
    record_id    uuid        NOT NULL,
    -- The other record, where two are concerned.
    other_id     uuid,
    -- The disputed key; for refused changes the device that made them.
    subject      text        NOT NULL,
    status       text        NOT NULL CHECK (status IN ('open', 'decided', 'dismissed')),
    assignee     uuid,
    due_at       timestamptz NOT NULL,
    opened_at    timestamptz NOT NULL,
    decided_at   timestamptz,
    decided_by   uuid,
    decision     text,
    -- Counts the writes: two supervisors can't decide one item.
    version      integer     NOT NULL DEFAULT 1,
    -- Values and base, sealed.
    wrapped_key  bytea       NOT NULL,
    key_version  integer     NOT NULL,
    body         bytea       NOT NULL
);
CREATE UNIQUE INDEX conflicts_open ON conflicts (record_id, kind, subject) WHERE status = 'open';
CREATE INDEX conflicts_queue ON conflicts (area_code text_pattern_ops, status, due_at, id);
CREATE INDEX conflicts_record ON conflicts (record_id);
CALL scope_by_area('conflicts', 'area_code');
REVOKE DELETE ON conflicts FROM doorstep_app;

-- Changes and events that were not merged; kept whole.
CREATE TABLE refused_items (
    id          uuid        PRIMARY KEY,
    conflict_id uuid        NOT NULL REFERENCES conflicts (id),
    record_id   uuid        NOT NULL,
    -- The change's hash, or of an event the digest of its bytes.
    hash        bytea       NOT NULL,
    device_id   uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    code        text        NOT NULL,
    field       text,
    refused_at  timestamptz NOT NULL,
    body        bytea       NOT NULL,
    CONSTRAINT refused_items_hash UNIQUE (record_id, hash)
);
CREATE INDEX refused_items_conflict ON refused_items (conflict_id);

-- Things that an honest device never does.
CREATE TABLE alarms (
    id        uuid        PRIMARY KEY,
    at        timestamptz NOT NULL,
    code      text        NOT NULL,
    device_id uuid        NOT NULL,
    user_id   uuid        NOT NULL,
    record_id uuid
);
CREATE INDEX alarms_at ON alarms (at);
