-- People registered in the household register within areas, and whether they live there or elsewhere.
WITH register AS (
    SELECT person.target AS resident, array_agg(home.target) AS houses
    FROM records AS residence
    JOIN links AS person ON person.record_id = residence.id AND person.field = 'resident'
    JOIN records AS resident ON resident.id = person.target AND resident.record_type = 'resident'
        AND NOT resident.cancelled AND resident.merged_into IS NULL
    LEFT JOIN links AS home ON home.record_id = residence.id AND home.field = 'house'
    WHERE residence.record_type = 'residence' AND NOT residence.cancelled AND NOT residence.facets ? 'ended'
        AND residence.facets ->> 'kind' = 'register'
        AND ($1::uuid[] IS NULL OR person.target = ANY($1))
        AND residence.id IN (SELECT record_id FROM record_tokens WHERE $2::text[] IS NULL OR areas && $2)
        AND ($3::uuid IS NULL OR person.target > $3)
    GROUP BY person.target
    ORDER BY person.target
    LIMIT $4
)
SELECT resident.id, resident.record_type, resident.area_code::text, resident.areas, resident.cancelled, resident.version,
    resident.updated_at, resident.updated_by, resident.state, resident.wrapped_key, resident.key_version,
    (SELECT max(happened_at) FROM event_subjects WHERE subject = resident.id AND verifies) AS verified_at,
    EXISTS (
        SELECT FROM links AS tie
        JOIN records AS living ON living.id = tie.record_id AND living.record_type = 'residence'
            AND NOT living.cancelled AND NOT living.facets ? 'ended' AND living.facets ->> 'kind' IN ('living', 'renting')
        JOIN links AS home ON home.record_id = living.id AND home.field = 'house'
        WHERE tie.target = resident.id AND tie.field = 'resident' AND home.target = ANY(register.houses)
    ) AS here,
    EXISTS (
        SELECT FROM links AS tie
        JOIN records AS living ON living.id = tie.record_id AND living.record_type = 'residence'
            AND NOT living.cancelled AND NOT living.facets ? 'ended' AND living.facets ->> 'kind' IN ('living', 'renting')
        LEFT JOIN links AS home ON home.record_id = living.id AND home.field = 'house'
        WHERE tie.target = resident.id AND tie.field = 'resident' AND (home.target = ANY(register.houses)) IS NOT TRUE
    ) AS elsewhere
FROM register
JOIN records AS resident ON resident.id = register.resident
ORDER BY resident.id
