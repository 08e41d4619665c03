-- Other active main residences of the same resident: claim, the one held, resident. But none that is claimed against
-- this one, nor a claim that is open where nothing new is said of it.
SELECT claim.record_id, held.id, claim.target
FROM unnest($1::uuid[], $2::bool[]) AS new (id, again)
JOIN links AS claim ON claim.record_id = new.id AND claim.field = 'resident'
JOIN links AS other ON other.target = claim.target AND other.field = 'resident' AND other.record_id <> claim.record_id
JOIN records AS held ON held.id = other.record_id
WHERE held.record_type = 'residence' AND NOT held.cancelled AND NOT held.facets ? 'ended'
    AND held.facets @> '{"main": true}'
    AND (held.id <> ALL($1) OR held.id < claim.record_id)
    AND NOT EXISTS (SELECT FROM conflicts
        WHERE kind = 'main_residence' AND status = 'open' AND record_id = claim.target
            AND subject = held.id::text AND other_id = claim.record_id)
    AND NOT (new.again AND EXISTS (SELECT FROM conflicts
        WHERE kind = 'main_residence' AND status = 'open' AND record_id = claim.target
            AND subject = claim.record_id::text))
