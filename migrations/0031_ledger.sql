-- What became of people and of what is registered of them, written in the transaction of the change that did it.
-- The rows name records by id; values are sealed under the record's key. What kind of change it was stands in clear,
-- because areas are counted by it.

-- A key field took another value.
CREATE TABLE field_changes (
    id          uuid        PRIMARY KEY,
    record_id   uuid        NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    record_type text        NOT NULL,
    area_code   area_code   NOT NULL,
    field       text        NOT NULL,
    change_hash bytea       NOT NULL,
    user_id     uuid        NOT NULL,
    device_id   uuid        NOT NULL,
    made_at     timestamptz NOT NULL,
    accepted_at timestamptz NOT NULL,
    -- The values before and after (MessagePack), sealed.
    body        bytea       NOT NULL
);
CREATE INDEX field_changes_area ON field_changes (area_code text_pattern_ops, accepted_at, id);
CREATE INDEX field_changes_record ON field_changes (record_id, accepted_at);
CALL scope_by_area('field_changes', 'area_code');
REVOKE UPDATE ON field_changes FROM doorstep_app;

-- A resident began or ceased to count in an area: for each resident and area the rows take turns.
CREATE TABLE population_changes (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resident    uuid        NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    area_code   area_code   NOT NULL,
    present     boolean     NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('in', 'birth', 'restored', 'out', 'death', 'cancelled')),
    -- The residence by which the resident began to count.
    residence   uuid,
    -- Where the resident went to, or came from, in the same change.
    other_area  text,
    user_id     uuid        NOT NULL,
    device_id   uuid        NOT NULL,
    accepted_at timestamptz NOT NULL,
    CHECK (present = (kind IN ('in', 'birth', 'restored')))
);
CREATE INDEX population_changes_area ON population_changes (area_code text_pattern_ops, accepted_at, id);
CREATE INDEX population_changes_resident ON population_changes (resident, area_code, id);
CALL scope_by_area('population_changes', 'area_code');
REVOKE UPDATE ON population_changes FROM doorstep_app;

-- A resident's main residence became another, or the first, or none.
CREATE TABLE address_changes (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resident       uuid        NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    -- The areas of both.
    areas          text[]      NOT NULL,
    from_residence uuid,
    from_house     uuid,
    to_residence   uuid,
    to_house       uuid,
    user_id        uuid        NOT NULL,
    device_id      uuid        NOT NULL,
    made_at        timestamptz NOT NULL,
    accepted_at    timestamptz NOT NULL
);
CREATE INDEX address_changes_resident ON address_changes (resident, id);
CREATE INDEX address_changes_accepted_at ON address_changes (accepted_at, id);
CALL scope_by_areas('address_changes', 'areas');
REVOKE UPDATE ON address_changes FROM doorstep_app;
