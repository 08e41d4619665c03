-- All records of one person: the one at the end of the chain of merges, and those merged into it.
WITH RECURSIVE up AS (
    SELECT id, merged_into FROM records WHERE id = $1
    UNION
    SELECT records.id, records.merged_into FROM up JOIN records ON records.id = up.merged_into
), chain AS (
    SELECT id FROM up
    UNION
    SELECT records.id FROM chain JOIN records ON records.merged_into = chain.id
)
SELECT id FROM chain ORDER BY id
