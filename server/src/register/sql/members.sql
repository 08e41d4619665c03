-- The records of an area's scope.
SELECT records.id, records.heads
FROM record_tokens
JOIN records ON records.id = record_tokens.record_id
WHERE record_tokens.areas @> ARRAY[$1] AND records.areas @> ARRAY[$1]
    AND records.merged_into IS NULL AND records.erased_at IS NULL
ORDER BY records.id
