SELECT id, resident, area_code::text AS area, kind, residence, other_area, user_id, device_id, accepted_at
FROM population_changes
WHERE ($1::text IS NULL OR area_code ^@ $1)
    AND ($2::uuid IS NULL OR resident = $2)
    AND ($3::text IS NULL OR kind = $3)
    AND ($4::timestamptz IS NULL OR accepted_at >= $4)
    AND ($5::timestamptz IS NULL OR accepted_at < $5)
    AND ($6::bigint IS NULL OR id < $6)
ORDER BY id DESC
LIMIT $7
