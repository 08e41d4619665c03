-- The records of the type $8 that every term finds, each by any of its tokens. A resident is found by the active
-- residences and their houses too, a house by the people in it. It begins with what carries any of the tokens $6, or
-- all of $9, and looks at the other terms only there: a road's name fits each of its 40,000 houses. Where even the
-- rarest fits more than can be looked at ($7), it begins with what carries every term by itself. Records of other types
-- that carry all terms may be among those found.
WITH term AS MATERIALIZED (
    SELECT number, array_agg(token) AS any_of
    FROM unnest($1::int[], $2::bigint[]) AS typed (number, token)
    GROUP BY number
), seed AS MATERIALIZED (
    SELECT found.record_id AS id
    FROM record_tokens AS found
    WHERE ($6::bigint[] IS NULL OR found.tokens && $6) AND ($9::bigint[] IS NULL OR found.tokens @> $9)
        AND ($3::text[] IS NULL OR found.areas && $3)
        AND (NOT $7::bool OR NOT EXISTS (SELECT FROM term WHERE NOT found.tokens && term.any_of))
    LIMIT $5
), beside AS MATERIALIZED (
    SELECT id FROM seed
    UNION SELECT links.record_id FROM seed JOIN links ON links.target = seed.id AND links.field IN ('resident', 'house')
), candidate AS MATERIALIZED (
    SELECT id FROM seed
    UNION SELECT links.target FROM beside JOIN links ON links.record_id = beside.id AND links.field = $8
    -- Residences lead to others, but only who looks for residences looks for these.
    UNION SELECT id FROM beside WHERE $8 = 'residence'
), whole AS MATERIALIZED (
    SELECT candidate.id
    FROM candidate
    JOIN record_tokens AS found ON found.record_id = candidate.id AND ($3::text[] IS NULL OR found.areas && $3)
    WHERE NOT EXISTS (SELECT FROM term WHERE NOT found.tokens && term.any_of)
), part AS MATERIALIZED (
    SELECT id FROM candidate EXCEPT SELECT id FROM whole
), tie AS MATERIALIZED (
    SELECT own.id, residence.id AS residence
    FROM (
        SELECT part.id, links.record_id AS residence
        FROM part
        JOIN links ON links.target = part.id AND links.field = $8
        UNION ALL SELECT id, id FROM part WHERE $8 = 'residence'
    ) AS own
    JOIN records AS residence ON residence.id = own.residence AND residence.record_type = 'residence'
        AND NOT residence.cancelled AND NOT residence.facets ? 'ended'
), family AS MATERIALIZED (
    SELECT id, id AS member FROM part
    UNION SELECT id, residence FROM tie
    UNION
    SELECT tie.id, links.target
    FROM tie
    JOIN links ON links.record_id = tie.residence AND links.field IN ('resident', 'house')
), carried AS MATERIALIZED (
    SELECT found.record_id AS member, term.number
    FROM (SELECT DISTINCT member FROM family) AS one
    JOIN record_tokens AS found ON found.record_id = one.member AND ($3::text[] IS NULL OR found.areas && $3)
    JOIN term ON found.tokens && term.any_of
), named AS (
    SELECT DISTINCT family.id, carried.number FROM family JOIN carried ON carried.member = family.member
)
SELECT id FROM whole UNION ALL (SELECT id FROM named GROUP BY id HAVING count(*) = $4) ORDER BY id LIMIT $5
