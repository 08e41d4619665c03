INSERT INTO envelopes (device_id, user_id, seq, digest, outcomes, accepted_at)
SELECT new.*, $6
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bytea[], $5::bytea[]) AS new
