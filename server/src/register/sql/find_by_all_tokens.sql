-- Residents within an area that carry all of a row's tokens. One by one (OFFSET 0): see same_number.sql.
SELECT wanted.row, held.id
FROM unnest($1::int[], $2::text[]) AS wanted (row, tokens)
JOIN record_tokens AS found ON found.tokens @> wanted.tokens::bigint[]
CROSS JOIN LATERAL (
    SELECT id FROM records
    WHERE id = found.record_id AND record_type = 'resident' AND merged_into IS NULL
        AND EXISTS (SELECT FROM unnest(areas) AS held WHERE held LIKE $3)
    OFFSET 0
) AS held
