-- The residences of residents, with the house's address where a house is named.
SELECT residence.id, residence.record_type, residence.area_code::text, residence.areas, residence.cancelled,
    residence.version, residence.updated_at, residence.updated_by, residence.state, residence.wrapped_key,
    residence.key_version, person.target AS resident, home.target AS house, house.facets ->> 'address' AS house_address,
    NOT residence.cancelled AND NOT residence.facets ? 'ended' AS active
FROM links AS person
JOIN records AS residence ON residence.id = person.record_id AND residence.record_type = 'residence'
LEFT JOIN links AS home ON home.record_id = residence.id AND home.field = 'house'
LEFT JOIN records AS house ON house.id = home.target
WHERE person.target = ANY($1) AND person.field = 'resident'
    AND ($2 OR (NOT residence.cancelled AND NOT residence.facets ? 'ended'))
ORDER BY person.target, residence.id
