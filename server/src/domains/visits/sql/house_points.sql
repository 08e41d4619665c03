-- The registered points of houses, by the house or by a resident who lives there (the main residence first).
SELECT DISTINCT ON (asked.subject) asked.subject, degrees(house.facets, 'longitude'), degrees(house.facets, 'latitude')
FROM unnest($1::uuid[]) AS asked (subject)
LEFT JOIN links AS person ON person.target = asked.subject AND person.field = 'resident'
LEFT JOIN records AS residence ON residence.id = person.record_id AND residence.record_type = 'residence'
    AND NOT residence.cancelled AND NOT residence.facets ? 'ended'
LEFT JOIN links AS home ON home.record_id = residence.id AND home.field = 'house'
JOIN records AS house ON house.id = coalesce(home.target, asked.subject) AND house.record_type = 'house'
WHERE degrees(house.facets, 'longitude') IS NOT NULL AND degrees(house.facets, 'latitude') IS NOT NULL
ORDER BY asked.subject, residence.facets @> '{"main": true}' DESC NULLS LAST, house.id
