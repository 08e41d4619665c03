INSERT INTO events (id, event_type, area_code, user_id, device_id, happened_at, subjects, facets, wrapped_key,
    key_version, body, accepted_at)
SELECT id, event_type, area_code, user_id, device_id, happened_at, subjects::uuid[], facets, wrapped_key,
    key_version, body, $12
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::text[],
    $8::jsonb[], $9::bytea[], $10::int[], $11::bytea[])
    AS new (id, event_type, area_code, user_id, device_id, happened_at, subjects, facets, wrapped_key,
        key_version, body)
