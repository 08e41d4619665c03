-- The records named, with the residents of the residences among them and whom those that were merged away became, locked
-- in the order of their ids. Gathered first: as "one of these or one of those" every record of the city would be
-- looked at.
WITH RECURSIVE named AS (
    SELECT id, 0 AS step FROM (
        SELECT unnest($1::uuid[])
        UNION
        SELECT target FROM links WHERE record_id = ANY($1) AND field = 'resident'
    ) AS first (id)
    UNION
    SELECT records.merged_into, named.step + 1
    FROM named
    JOIN records ON records.id = named.id
    WHERE records.merged_into IS NOT NULL AND named.step < 16
)
SELECT id, areas FROM records
WHERE id = ANY(ARRAY(SELECT id FROM named))
ORDER BY id
FOR UPDATE
