INSERT INTO changes (record_id, hash, actor, seq, epoch, device_id, user_id, made_at, body, accepted_at)
SELECT new.*, $10
FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bigint[], $5::int[], $6::uuid[], $7::uuid[],
    $8::timestamptz[], $9::bytea[]) AS new
