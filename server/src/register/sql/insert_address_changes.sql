INSERT INTO address_changes (resident, areas, from_residence, from_house, to_residence, to_house, user_id, device_id,
    made_at, accepted_at)
SELECT resident, areas::text[], from_residence, from_house, to_residence, to_house, user_id, device_id, made_at, $10
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[],
    $9::timestamptz[])
    AS new (resident, areas, from_residence, from_house, to_residence, to_house, user_id, device_id, made_at)
