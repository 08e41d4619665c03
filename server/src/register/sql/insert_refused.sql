INSERT INTO refused_items (id, conflict_id, record_id, hash, device_id, user_id, code, field, body, subjects, refused_at)
SELECT id, conflict_id, record_id, hash, device_id, user_id, code, field, body, subjects::uuid[], $11
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[], $5::uuid[], $6::uuid[], $7::text[], $8::text[],
    $9::bytea[], $10::text[])
    AS new (id, conflict_id, record_id, hash, device_id, user_id, code, field, body, subjects)
ON CONFLICT ON CONSTRAINT refused_items_hash DO NOTHING
