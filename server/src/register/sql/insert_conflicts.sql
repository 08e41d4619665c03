INSERT INTO conflicts (id, kind, area_code, record_id, other_id, subject, wrapped_key, key_version, body,
    status, opened_at, due_at)
SELECT new.*, 'open', $10, $11
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::bytea[], $8::int[],
    $9::bytea[]) AS new
