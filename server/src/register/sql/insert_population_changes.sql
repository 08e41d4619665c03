INSERT INTO population_changes (resident, area_code, present, kind, residence, other_area, user_id, device_id, accepted_at)
SELECT new.*, $9
FROM unnest($1::uuid[], $2::text[], $3::bool[], $4::text[], $5::uuid[], $6::text[], $7::uuid[], $8::uuid[]) AS new
