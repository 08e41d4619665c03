-- What the register is searched by, beside the records.
--
-- These tables are not behind the wall: there PostgreSQL may use no index for array operators (they are not leakproof),
-- so a query finds ids here and reads `records`, which is behind it. Ids, areas and blind tokens tell nothing by
-- themselves.

-- The areas given and those above them (village, street, district): so that one key finds all of a street.
CREATE FUNCTION area_line(areas text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
SELECT array_agg(DISTINCT rpad(left(area, digits), 12, '0'))
FROM unnest(areas) AS area, unnest(ARRAY[6, 9, 12]) AS digits
$$;

CREATE TABLE record_tokens (
    record_id uuid     PRIMARY KEY REFERENCES records (id) ON DELETE CASCADE,
    areas     text[]   NOT NULL,
    -- Blind tokens of what it is found by and narrowed by.
    tokens    bigint[] NOT NULL
);
INSERT INTO record_tokens (record_id, areas, tokens) SELECT id, area_line(areas), tokens FROM records;
CREATE INDEX record_tokens_search ON record_tokens USING gin (areas, tokens);
DROP INDEX records_areas;
DROP INDEX records_facets;
ALTER TABLE records DROP COLUMN tokens;

-- Which events are about which record.
CREATE TABLE event_subjects (
    subject     uuid        NOT NULL,
    happened_at timestamptz NOT NULL,
    event_id    uuid        NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    event_type  text        NOT NULL,
    -- Whether it verified the record: a visit on which what is registered was found true, or corrected.
    verifies    boolean     NOT NULL,
    PRIMARY KEY (subject, happened_at, event_id)
);
INSERT INTO event_subjects (subject, happened_at, event_id, event_type, verifies)
SELECT DISTINCT subject, happened_at, id, event_type, facets ->> 'result' IN ('01', '06')
FROM events, unnest(subjects) AS subject;
CREATE INDEX event_subjects_event ON event_subjects (event_id);
DROP INDEX events_subjects;
