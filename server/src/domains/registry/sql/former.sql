-- Residences that ended, in areas or of one house.
SELECT residence.id, residence.record_type, residence.area_code::text, residence.areas, residence.cancelled,
    residence.version, residence.updated_at, residence.updated_by, residence.state, residence.wrapped_key,
    residence.key_version, person.target AS resident, home.target AS house, house.facets ->> 'address' AS house_address,
    false AS active
FROM records AS residence
JOIN links AS person ON person.record_id = residence.id AND person.field = 'resident'
LEFT JOIN links AS home ON home.record_id = residence.id AND home.field = 'house'
LEFT JOIN records AS house ON house.id = home.target
WHERE residence.record_type = 'residence' AND (residence.cancelled OR residence.facets ? 'ended')
    AND residence.id IN (SELECT record_id FROM record_tokens WHERE $1::text[] IS NULL OR areas && $1)
    AND ($2::uuid IS NULL OR home.target = $2)
    AND ($3::uuid IS NULL OR residence.id > $3)
ORDER BY residence.id
LIMIT $4
