WITH new AS (
    SELECT id, event_type, area_code, user_id, device_id, happened_at, subjects::uuid[], facets, wrapped_key,
        key_version, body, verifies
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::text[],
        $8::jsonb[], $9::bytea[], $10::int[], $11::bytea[], $13::bool[])
        AS new (id, event_type, area_code, user_id, device_id, happened_at, subjects, facets, wrapped_key,
            key_version, body, verifies)
), written AS (
    INSERT INTO events (id, event_type, area_code, user_id, device_id, happened_at, subjects, facets, wrapped_key,
        key_version, body, accepted_at)
    SELECT id, event_type, area_code, user_id, device_id, happened_at, subjects, facets, wrapped_key, key_version,
        body, $12
    FROM new
), named AS (
    INSERT INTO register_ids (id) SELECT id FROM new
)
-- By a phone's clock that is ahead nobody is verified until then.
INSERT INTO event_subjects (subject, happened_at, event_id, event_type, verifies)
SELECT DISTINCT subject, least(happened_at, $12::timestamptz + interval '1 day'), id, event_type, verifies
FROM new, unnest(subjects) AS subject
