-- How many records fit, up to a limit: the conditions of list.sql.
SELECT count(*) FROM (
    SELECT
    FROM records
    WHERE record_type = $1 AND merged_into IS NULL AND erased_at IS NULL
        AND ($2::uuid[] IS NULL OR id = ANY($2))
        AND id IN (
            SELECT record_id FROM record_tokens
            WHERE ($3::text[] IS NULL OR areas && $3) AND ($4::bigint[] IS NULL OR tokens @> $4))
        AND ($5::bool IS NULL OR cancelled = $5)
        AND ($6::jsonb IS NULL OR facets @> $6)
        AND ($9::text[] IS NULL OR NOT facets ?| $9)
        AND ($7::date IS NULL OR (
            coalesce(facets ->> 'last_verified', '') < $7::text
            AND NOT EXISTS (
                SELECT FROM event_subjects
                WHERE subject = records.id AND verifies AND happened_at >= $7::timestamp AT TIME ZONE 'Asia/Shanghai')))
    LIMIT $8
) AS fits
