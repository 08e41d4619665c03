-- How many records carry any token of each term, counted up to a limit; under the number -1, how many carry all of the
-- tokens $5, where there are any.
SELECT number, (
    SELECT count(*)
    FROM (
        SELECT
        FROM record_tokens AS found
        WHERE found.tokens && any_of AND ($3::text[] IS NULL OR found.areas && $3)
        LIMIT $4
    ) AS capped
)
FROM (
    SELECT number, array_agg(token) AS any_of
    FROM unnest($1::int[], $2::bigint[]) AS typed (number, token)
    GROUP BY number
) AS term
UNION ALL
SELECT -1, (
    SELECT count(*)
    FROM (
        SELECT
        FROM record_tokens AS found
        WHERE found.tokens @> $5::bigint[] AND ($3::text[] IS NULL OR found.areas && $3)
        LIMIT $4
    ) AS capped
)
WHERE cardinality($5::bigint[]) > 0
