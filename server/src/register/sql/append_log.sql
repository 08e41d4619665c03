INSERT INTO scope_log (scope, seq, kind, record_id, change_hash, device_id, state_key)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::uuid[], $5::bytea[], $6::uuid[], $7::text[])
