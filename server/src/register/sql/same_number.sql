-- Other residents, not cancelled, that carry the same certificate number.
SELECT new.id, held.id
FROM unnest($1::uuid[], $2::bigint[]) AS new (id, token)
JOIN record_tokens AS found ON found.tokens @> ARRAY[new.token]
JOIN records AS held ON held.id = found.record_id
WHERE held.record_type = 'resident' AND NOT held.cancelled AND held.merged_into IS NULL AND held.id <> new.id
    AND (held.id <> ALL($1) OR held.id < new.id)
