-- The houses that questions about residents concern: of a named residence its house, else those of all their residences.
SELECT DISTINCT asked.place, home.target AS house
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS asked (resident, residence, place)
JOIN links AS person ON person.target = asked.resident AND person.field = 'resident'
JOIN records AS residence ON residence.id = person.record_id AND residence.record_type = 'residence'
    AND NOT residence.cancelled AND NOT residence.facets ? 'ended'
JOIN links AS home ON home.record_id = residence.id AND home.field = 'house'
WHERE asked.residence IS NULL OR asked.residence = residence.id
