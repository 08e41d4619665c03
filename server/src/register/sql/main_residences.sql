-- Main residences that differ from those the ledger has. While two are claimed, the one it has stays.
WITH asked AS (
    SELECT id AS resident FROM records WHERE id = ANY($1) AND record_type = 'resident' AND merged_into IS NULL
), last AS (
    SELECT DISTINCT ON (resident) resident, to_residence, to_house, areas
    FROM address_changes
    WHERE resident = ANY($1)
    ORDER BY resident, id DESC
), main AS (
    SELECT DISTINCT ON (links.target) links.target AS resident, residence.id AS residence, home.target AS house,
        residence.areas
    FROM links
    JOIN records AS residence ON residence.id = links.record_id AND residence.record_type = 'residence'
        AND NOT residence.cancelled AND NOT residence.facets ? 'ended' AND residence.facets @> '{"main": true}'
    LEFT JOIN links AS home ON home.record_id = residence.id AND home.field = 'house'
    LEFT JOIN last ON last.resident = links.target
    WHERE links.target = ANY($1) AND links.field = 'resident'
    ORDER BY links.target, residence.id IS NOT DISTINCT FROM last.to_residence DESC, residence.id
)
SELECT resident, last.to_residence AS from_residence, last.to_house AS from_house, last.areas AS from_areas,
    main.residence AS to_residence, main.house AS to_house, main.areas AS to_areas
FROM asked
LEFT JOIN last USING (resident)
LEFT JOIN main USING (resident)
WHERE (last.to_residence, last.to_house) IS DISTINCT FROM (main.residence, main.house)
ORDER BY resident
