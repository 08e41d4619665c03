WITH RECURSIVE alias AS (
    SELECT id FROM records WHERE merged_into = ANY($1)
    UNION
    SELECT records.id FROM alias JOIN records ON records.merged_into = alias.id
)
SELECT id FROM alias
