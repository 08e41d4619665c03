-- The records named, with the residents of the residences among them, locked in the order of their ids. Gathered
-- first: as "one of these or one of those" every record of the city would be looked at.
SELECT id, areas FROM records
WHERE id = ANY(ARRAY(
    SELECT unnest($1::uuid[])
    UNION
    SELECT target FROM links WHERE record_id = ANY($1) AND field = 'resident'
))
ORDER BY id
FOR UPDATE
