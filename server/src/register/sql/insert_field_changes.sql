INSERT INTO field_changes (id, record_id, record_type, area_code, field, change_hash, user_id, device_id, made_at, body,
    accepted_at)
SELECT new.*, $11
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::uuid[], $8::uuid[],
    $9::timestamptz[], $10::bytea[]) AS new
