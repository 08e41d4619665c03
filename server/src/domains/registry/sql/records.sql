SELECT id, record_type, area_code::text, areas, cancelled, version, updated_at, updated_by, state, wrapped_key, key_version,
    (SELECT max(happened_at) FROM event_subjects WHERE subject = records.id AND verifies) AS verified_at
FROM records
WHERE id = ANY($1) AND erased_at IS NULL
ORDER BY id
