INSERT INTO alarms (id, code, device_id, user_id, record_id, at)
SELECT new.*, $6
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[]) AS new
