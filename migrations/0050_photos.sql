-- Photos: what has arrived whole, what is on its way, and what is to be removed from the store. The bytes lie in the
-- object store, sealed under the key of the record or event they belong to; with that key they are gone.

-- An upload under way. Its chunks lie in the store under its id; only `received` says how many of them count.
CREATE TABLE photo_uploads (
    id         uuid        PRIMARY KEY,
    -- SM3 of the photo's bytes, as the device says.
    digest     bytea       NOT NULL CHECK (length(digest) = 32),
    -- The record or event, and the field.
    record_id  uuid        NOT NULL,
    field      text        NOT NULL,
    area_code  area_code   NOT NULL,
    owner      uuid        NOT NULL,
    media_type text        NOT NULL,
    size       integer     NOT NULL CHECK (size > 0),
    received   integer     NOT NULL DEFAULT 0 CHECK (received BETWEEN 0 AND size),
    opened_at  timestamptz NOT NULL,
    touched_at timestamptz NOT NULL,
    CONSTRAINT photo_uploads_one UNIQUE (digest, record_id, field, owner)
);
CREATE INDEX photo_uploads_owner ON photo_uploads (owner);
CREATE INDEX photo_uploads_record ON photo_uploads (record_id);
CREATE INDEX photo_uploads_touched ON photo_uploads (touched_at);
CALL scope_by_area('photo_uploads', 'area_code');

-- A photo that has arrived, checked, with its thumbnail. It keeps its upload's id.
CREATE TABLE photos (
    id          uuid        PRIMARY KEY,
    record_id   uuid        NOT NULL,
    digest      bytea       NOT NULL CHECK (length(digest) = 32),
    -- The area the record was made in.
    area_code   area_code   NOT NULL,
    media_type  text        NOT NULL,
    size        integer     NOT NULL,
    width       integer     NOT NULL,
    height      integer     NOT NULL,
    uploaded_by uuid        NOT NULL,
    arrived_at  timestamptz NOT NULL,
    CONSTRAINT photos_one UNIQUE (record_id, digest)
);
CREATE INDEX photos_digest ON photos (digest);
-- A record moves between areas and its photos with it: so what is seen of the record is seen of them.
ALTER TABLE photos ENABLE ROW LEVEL SECURITY;
ALTER TABLE photos FORCE ROW LEVEL SECURITY;
CREATE POLICY within_areas ON photos USING (
    area_code LIKE ANY ((SELECT area_patterns())::text[])
    OR EXISTS (SELECT FROM records WHERE records.id = record_id));
REVOKE UPDATE ON photos FROM doorstep_app;

-- Whose objects are to be removed from the store: written in the transaction that drops the row which had them.
CREATE TABLE photo_removals (
    id uuid        PRIMARY KEY,
    at timestamptz NOT NULL
);
