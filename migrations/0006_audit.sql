-- The audit log: a chain of SM3 hashes, one entry after another, and signatures over its head.
-- The application may add to it and nothing else.
CREATE TABLE audit_entries (
    seq          bigint      PRIMARY KEY,
    at           timestamptz NOT NULL,
    user_id      uuid,
    device_id    uuid,
    action       text        NOT NULL,
    outcome      text        NOT NULL CHECK (outcome IN ('done', 'refused', 'failed')),
    area_code    area_code,
    subject_kind text,
    subject_id   text,
    -- Compact JSON as text, since its very bytes are hashed. Codes, counts and ids only: no personal data.
    detail       text        NOT NULL,
    request_id   text        NOT NULL,
    address      text,
    prev_hash    bytea       NOT NULL,
    hash         bytea       NOT NULL
);
CREATE INDEX audit_entries_at ON audit_entries (at);
CREATE INDEX audit_entries_user_id ON audit_entries (user_id, seq);
CREATE INDEX audit_entries_subject ON audit_entries (subject_id, seq);
CREATE INDEX audit_entries_area_code ON audit_entries (area_code text_pattern_ops, seq);

ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_entries FORCE ROW LEVEL SECURITY;
-- Whoever does something writes it down, whatever area it concerns.
CREATE POLICY anyone_adds ON audit_entries FOR INSERT WITH CHECK (true);
-- Entries without an area (a sign-in under an unknown name) are for who sees a whole city.
CREATE POLICY within_areas ON audit_entries FOR SELECT USING (
    area_code LIKE ANY ((SELECT area_patterns())::text[])
    OR (area_code IS NULL AND (SELECT bool_or(length(p) <= 3) FROM unnest(area_patterns()) AS p))
);
REVOKE UPDATE, DELETE ON audit_entries FROM doorstep_app;

-- The chain's end, one row. Its lock orders the entries; a writer takes it last and commits at once.
CREATE TABLE audit_head (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    seq    bigint  NOT NULL,
    hash   bytea   NOT NULL
);
INSERT INTO audit_head (seq, hash) VALUES (0, decode(repeat('00', 32), 'hex'));
REVOKE INSERT, DELETE ON audit_head FROM doorstep_app;

-- Heads signed with the server's SM2 key: who rewrites the whole chain can't rewrite these.
CREATE TABLE audit_signatures (
    seq        bigint      PRIMARY KEY,
    hash       bytea       NOT NULL,
    signed_at  timestamptz NOT NULL,
    public_key bytea      NOT NULL,
    signature  bytea       NOT NULL
);
REVOKE UPDATE, DELETE ON audit_signatures FROM doorstep_app;
