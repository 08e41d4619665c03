-- How users prove who they are, and the sessions they open.
CREATE TABLE credentials (
    user_id              uuid        PRIMARY KEY REFERENCES users (id),
    -- PBKDF2-HMAC-SM3, with rounds and salt.
    password             text        NOT NULL,
    password_set_at      timestamptz NOT NULL,
    must_change_password boolean     NOT NULL,
    -- Secret of the second factor, wrapped by the root key; in force once confirmed.
    totp_sealed          bytea,
    totp_confirmed_at    timestamptz,
    -- The time step of the last code taken: a code is good once.
    totp_last_step       bigint      NOT NULL DEFAULT 0
);

CREATE TABLE former_passwords (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id  uuid        NOT NULL REFERENCES users (id),
    set_at   timestamptz NOT NULL,
    password text        NOT NULL
);
CREATE INDEX former_passwords_user_id ON former_passwords (user_id, id);

-- Failures under a login, whether there is such a user or not, so that a lock tells nothing about that.
-- The login stands as a blind token.
CREATE TABLE sign_in_guards (
    login_token  bigint      PRIMARY KEY,
    failures     integer     NOT NULL,
    locked_until timestamptz,
    last_at      timestamptz NOT NULL
);

-- Failed tries by address, so that one address can't try one password on many accounts.
CREATE TABLE failed_sign_ins (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address text        NOT NULL,
    at      timestamptz NOT NULL
);
CREATE INDEX failed_sign_ins_address_at ON failed_sign_ins (address, at);

CREATE TABLE sessions (
    id           uuid        PRIMARY KEY,
    -- SM3 of the token; the token itself is kept nowhere.
    token_hash   bytea       NOT NULL UNIQUE,
    user_id      uuid        NOT NULL REFERENCES users (id),
    device_id    uuid        REFERENCES devices (id),
    created_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    -- When the password was last given: a device's session is renewed without it for a while only.
    password_at  timestamptz NOT NULL,
    ended_at     timestamptz,
    address      text
);
CREATE INDEX sessions_user_id ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_device_id ON sessions (device_id) WHERE ended_at IS NULL;

-- Nonces given out and not answered yet. An answer takes the row away, so none is answered twice.
CREATE TABLE challenges (
    nonce      bytea       PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX challenges_expires_at ON challenges (expires_at);
