-- Other residents, not cancelled, that carry the same certificate number; but no pair that is open from the other side,
-- nor one that is open at all where nothing new is said of it. Who carries it is looked at one by one (OFFSET 0): the
-- planner knows no token of these, takes one record in two hundred to carry each, and would go through all there are.
SELECT new.id, held.id
FROM unnest($1::uuid[], $2::bigint[], $3::bool[]) AS new (id, token, again)
JOIN record_tokens AS found ON found.tokens @> ARRAY[new.token]
CROSS JOIN LATERAL (
    SELECT records.id FROM records
    WHERE id = found.record_id AND record_type = 'resident' AND NOT cancelled AND merged_into IS NULL AND id <> new.id
        AND (id <> ALL($1) OR id < new.id)
        AND NOT EXISTS (SELECT FROM conflicts
            WHERE kind = 'duplicate_person' AND status = 'open' AND record_id = records.id AND other_id = new.id)
        AND NOT (new.again AND EXISTS (SELECT FROM conflicts
            WHERE kind = 'duplicate_person' AND status = 'open' AND record_id = new.id AND other_id = records.id))
    OFFSET 0
) AS held
