-- Records of a type that fit, in the order of ids. Every condition but the type may be left out (null). The set of
-- `record_tokens` is never an `OR … IN (SELECT`: that one is gone through row by row, for every row anew.
SELECT id, record_type, area_code::text, areas, cancelled, version, updated_at, updated_by, state, wrapped_key, key_version,
    (SELECT max(happened_at) FROM event_subjects WHERE subject = records.id AND verifies) AS verified_at
FROM records
WHERE record_type = $1 AND merged_into IS NULL AND erased_at IS NULL
    AND ($2::uuid[] IS NULL OR id = ANY($2))
    AND id IN (
        SELECT record_id FROM record_tokens
        WHERE ($3::text[] IS NULL OR areas && $3) AND ($4::bigint[] IS NULL OR tokens @> $4))
    AND ($5::bool IS NULL OR cancelled = $5)
    AND ($6::jsonb IS NULL OR facets @> $6)
    AND ($10::text[] IS NULL OR NOT facets ?| $10)
    AND ($7::date IS NULL OR (
        coalesce(facets ->> 'last_verified', '') < $7::text
        AND NOT EXISTS (
            SELECT FROM event_subjects
            WHERE subject = records.id AND verifies AND happened_at >= $7::timestamp AT TIME ZONE 'Asia/Shanghai')))
    AND ($8::uuid IS NULL OR id > $8)
ORDER BY id
LIMIT $9
