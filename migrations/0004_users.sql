-- Users, what they were granted where, and their devices.
CREATE TABLE users (
    id               uuid        PRIMARY KEY,
    login            text        NOT NULL UNIQUE CHECK (login = lower(login) AND length(login) BETWEEN 3 AND 64),
    -- The person's name, sealed under the key of the area.
    name_sealed      bytea       NOT NULL,
    name_key_version integer     NOT NULL,
    -- Blind index of the name: found by the whole name, readable by nobody.
    name_token       bigint      NOT NULL,
    area_code        area_code   NOT NULL REFERENCES areas (code),
    status           text        NOT NULL CHECK (status IN ('active', 'closed')),
    version          integer     NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL,
    created_by       uuid
);
CREATE INDEX users_name_token ON users (name_token);
CREATE INDEX users_area_code ON users (area_code text_pattern_ops, id);
CALL scope_by_area('users', 'area_code');

CREATE TABLE grants (
    id         uuid        PRIMARY KEY,
    user_id    uuid        NOT NULL REFERENCES users (id),
    role       text        NOT NULL,
    area_code  area_code   NOT NULL REFERENCES areas (code),
    -- The last day on which it holds; none: until taken back.
    ends_on    date,
    granted_by uuid,
    granted_at timestamptz NOT NULL,
    revoked_by uuid,
    revoked_at timestamptz,
    -- HMAC-SM3 over all the columns above, by a key outside of the database: a row edited by hand is refused.
    tag        bytea       NOT NULL
);
CREATE INDEX grants_user_id ON grants (user_id);
CREATE INDEX grants_area_code ON grants (area_code text_pattern_ops);
CALL scope_by_area('grants', 'area_code');
REVOKE DELETE ON grants FROM doorstep_app;

CREATE TABLE devices (
    id              uuid        PRIMARY KEY,
    user_id         uuid        NOT NULL REFERENCES users (id),
    area_code       area_code   NOT NULL REFERENCES areas (code),
    public_key      bytea       NOT NULL UNIQUE CHECK (length(public_key) = 65),
    name            text        NOT NULL,
    platform        text        NOT NULL,
    status          text        NOT NULL CHECK (status IN ('active', 'revoked', 'wipe_ordered', 'wiped')),
    status_set_at   timestamptz NOT NULL,
    status_set_by   uuid,
    status_reason   text        NOT NULL DEFAULT '',
    enrolled_at     timestamptz NOT NULL,
    last_contact_at timestamptz,
    last_sync_at    timestamptz,
    -- What the device said it had not sent yet, when it last synced.
    unsent          integer     NOT NULL DEFAULT 0,
    unsent_since    timestamptz
);
CREATE INDEX devices_user_id ON devices (user_id);
CREATE INDEX devices_area_code ON devices (area_code text_pattern_ops, id);
CALL scope_by_area('devices', 'area_code');
REVOKE DELETE ON devices FROM doorstep_app;
