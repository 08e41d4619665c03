-- Residents within an area that carry all of a row's tokens.
SELECT wanted.row, records.id
FROM unnest($1::int[], $2::text[]) AS wanted (row, tokens)
JOIN record_tokens AS found ON found.tokens @> wanted.tokens::bigint[]
JOIN records ON records.id = found.record_id
WHERE records.record_type = 'resident' AND records.merged_into IS NULL
    AND EXISTS (SELECT FROM unnest(records.areas) AS held WHERE held LIKE $3)
