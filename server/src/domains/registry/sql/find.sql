-- The records that every term finds, each by any of its tokens. A resident is found by the active residences and their
-- houses too, a house by the people in it.
WITH term AS (
    SELECT number, array_agg(token) AS any_of
    FROM unnest($1::int[], $2::bigint[]) AS typed (number, token)
    GROUP BY number
), hit AS (
    SELECT term.number, found.record_id AS id
    FROM term
    JOIN record_tokens AS found ON found.tokens && term.any_of AND ($3::text[] IS NULL OR found.areas && $3)
), tie AS (
    SELECT residence.id, person.target AS resident, home.target AS house
    FROM (
        SELECT id FROM hit
        UNION SELECT links.record_id FROM hit JOIN links ON links.target = hit.id AND links.field IN ('resident', 'house')
    ) AS near
    JOIN records AS residence ON residence.id = near.id AND residence.record_type = 'residence'
        AND NOT residence.cancelled AND NOT residence.facets ? 'ended'
    JOIN links AS person ON person.record_id = residence.id AND person.field = 'resident'
    LEFT JOIN links AS home ON home.record_id = residence.id AND home.field = 'house'
), member AS (
    SELECT tie.id, tie.resident, tie.house, one.of
    FROM tie
    CROSS JOIN LATERAL (VALUES (tie.id), (tie.resident), (tie.house)) AS one (of)
), named AS (
    SELECT number, id FROM hit
    UNION
    SELECT hit.number, other.id
    FROM hit
    JOIN member ON member.of = hit.id
    CROSS JOIN LATERAL (VALUES (member.id), (member.resident), (member.house)) AS other (id)
)
SELECT id FROM named WHERE id IS NOT NULL GROUP BY id HAVING count(*) = $4 ORDER BY id LIMIT $5
