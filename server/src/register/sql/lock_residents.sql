-- The records named, with the residents of the residences among them, locked in the order of their ids.
SELECT FROM records
WHERE id = ANY($1) OR id IN (SELECT target FROM links WHERE record_id = ANY($1) AND field = 'resident')
ORDER BY id
FOR UPDATE
