-- Other residents, not cancelled, that carry the same certificate number; but no pair that is open from the other side,
-- nor one that is open at all where nothing new is said of it.
SELECT new.id, held.id
FROM unnest($1::uuid[], $2::bigint[], $3::bool[]) AS new (id, token, again)
JOIN record_tokens AS found ON found.tokens @> ARRAY[new.token]
JOIN records AS held ON held.id = found.record_id
WHERE held.record_type = 'resident' AND NOT held.cancelled AND held.merged_into IS NULL AND held.id <> new.id
    AND (held.id <> ALL($1) OR held.id < new.id)
    AND NOT EXISTS (SELECT FROM conflicts
        WHERE kind = 'duplicate_person' AND status = 'open' AND record_id = held.id AND other_id = new.id)
    AND NOT (new.again AND EXISTS (SELECT FROM conflicts
        WHERE kind = 'duplicate_person' AND status = 'open' AND record_id = new.id AND other_id = held.id))
