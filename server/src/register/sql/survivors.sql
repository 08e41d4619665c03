-- Each alias with the record at the end of its chain, and where that lies.
WITH RECURSIVE chain AS (
    SELECT id, merged_into AS survivor, 1 AS step
    FROM records
    WHERE id = ANY($1) AND merged_into IS NOT NULL
    UNION ALL
    SELECT chain.id, next.merged_into, chain.step + 1
    FROM chain
    JOIN records AS next ON next.id = chain.survivor
    WHERE next.merged_into IS NOT NULL AND chain.step < 16
)
SELECT DISTINCT ON (chain.id) chain.id, chain.survivor, records.areas
FROM chain
JOIN records ON records.id = chain.survivor
ORDER BY chain.id, chain.step DESC
