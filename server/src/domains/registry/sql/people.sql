-- The residents with a residence in force in one of the houses, and those who carry the token.
WITH tied AS (
    SELECT person.target AS resident, array_agg(DISTINCT home.target) AS houses,
        array_agg(DISTINCT residence.facets ->> 'kind') AS kinds,
        bool_or(residence.facets @> '{"main": true}') AS main
    FROM links AS home
    JOIN records AS residence ON residence.id = home.record_id AND residence.record_type = 'residence'
        AND NOT residence.cancelled AND NOT residence.facets ? 'ended'
    JOIN links AS person ON person.record_id = residence.id AND person.field = 'resident'
    WHERE home.target = ANY($1) AND home.field = 'house'
    GROUP BY person.target
), named AS (
    SELECT resident FROM tied
    UNION
    SELECT record_id FROM record_tokens WHERE $2::bigint IS NOT NULL AND tokens @> ARRAY[$2]
)
SELECT resident.id, resident.record_type, resident.area_code::text, resident.areas, resident.cancelled, resident.version,
    resident.updated_at, resident.updated_by, resident.state, resident.wrapped_key, resident.key_version,
    NULL::timestamptz AS verified_at,
    coalesce(tied.houses, '{}') AS houses, coalesce(tied.kinds, '{}') AS kinds, coalesce(tied.main, false) AS main
FROM named
JOIN records AS resident ON resident.id = named.resident AND resident.record_type = 'resident'
    AND NOT resident.cancelled AND resident.merged_into IS NULL
LEFT JOIN tied ON tied.resident = resident.id
ORDER BY resident.id
LIMIT 500
