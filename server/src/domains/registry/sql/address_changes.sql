SELECT id, resident, areas, from_residence, to_residence, user_id, device_id, made_at, accepted_at
FROM address_changes
WHERE ($1::text IS NULL OR EXISTS (SELECT FROM unnest(areas) AS held WHERE held ^@ $1))
    AND ($2::uuid IS NULL OR resident = $2)
    AND ($3::timestamptz IS NULL OR accepted_at >= $3)
    AND ($4::timestamptz IS NULL OR accepted_at < $4)
    AND ($5::bigint IS NULL OR id < $5)
ORDER BY id DESC
LIMIT $6
