-- The houses of areas, with how many people of each class they have: registered and living there (here_both), living
-- there only, registered there only, owning only.
WITH house AS (
    SELECT id, version, area_code::text, facets
    FROM records
    WHERE id IN (
            SELECT record_id FROM record_tokens WHERE areas && $1 AND ($2::bigint IS NULL OR tokens @> ARRAY[$2]))
        AND record_type = 'house' AND NOT cancelled AND merged_into IS NULL
        AND (NOT $3 OR coalesce(facets ->> 'building_key', '') = '')
), person AS (
    SELECT home.target AS house, person.target AS resident,
        bool_or(residence.facets ->> 'kind' = 'register') AS registered,
        bool_or(residence.facets ->> 'kind' IN ('living', 'renting')) AS living,
        bool_or(residence.facets ->> 'kind' = 'renting') AS renting,
        bool_or(residence.facets ->> 'kind' = 'visiting') AS visiting
    FROM house
    JOIN links AS home ON home.target = house.id AND home.field = 'house'
    JOIN records AS residence ON residence.id = home.record_id AND residence.record_type = 'residence'
        AND NOT residence.cancelled AND NOT residence.facets ? 'ended'
    JOIN links AS person ON person.record_id = residence.id AND person.field = 'resident'
    JOIN records AS resident ON resident.id = person.target AND NOT resident.cancelled AND resident.merged_into IS NULL
    GROUP BY home.target, person.target
), counted AS (
    SELECT house,
        count(*) FILTER (WHERE registered AND living) AS here_both,
        count(*) FILTER (WHERE living AND NOT registered) AS lives_only,
        count(*) FILTER (WHERE registered AND NOT living) AS register_only,
        count(*) FILTER (WHERE NOT registered AND NOT living AND NOT visiting) AS owner_only,
        count(*) FILTER (WHERE renting) AS renting
    FROM person
    GROUP BY house
)
SELECT house.id, house.version, house.area_code, house.facets,
    (SELECT max(happened_at) FROM event_subjects WHERE subject = house.id AND verifies) AS verified_at,
    coalesce(here_both, 0) AS here_both, coalesce(lives_only, 0) AS lives_only,
    coalesce(register_only, 0) AS register_only, coalesce(owner_only, 0) AS owner_only, coalesce(renting, 0) AS renting
FROM house
LEFT JOIN counted ON counted.house = house.id
ORDER BY house.id
