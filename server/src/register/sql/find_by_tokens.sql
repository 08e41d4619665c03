-- Records of a type that carry a token, by the number of the row that asks.
SELECT wanted.row, records.id
FROM unnest($1::int[], $2::bigint[]) AS wanted (row, token)
JOIN record_tokens AS found ON found.tokens @> ARRAY[wanted.token]
JOIN records ON records.id = found.record_id
WHERE records.record_type = $3 AND records.merged_into IS NULL
