-- Records of a type that carry a token, those merged away or the others, by the number of the row that asks. One by one
-- (OFFSET 0): see same_number.sql.
SELECT wanted.row, held.id
FROM unnest($1::int[], $2::bigint[]) AS wanted (row, token)
JOIN record_tokens AS found ON found.tokens @> ARRAY[wanted.token]
CROSS JOIN LATERAL (
    SELECT id FROM records
    WHERE id = found.record_id AND record_type = $3 AND (merged_into IS NOT NULL) = $4
    OFFSET 0
) AS held
