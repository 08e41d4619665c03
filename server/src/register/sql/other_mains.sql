-- Other active main residences of the same resident: claim, the one held, resident.
SELECT claim.record_id, held.id, claim.target
FROM links AS claim
JOIN links AS other ON other.target = claim.target AND other.field = 'resident' AND other.record_id <> claim.record_id
JOIN records AS held ON held.id = other.record_id
WHERE claim.record_id = ANY($1) AND claim.field = 'resident'
    AND held.record_type = 'residence' AND NOT held.cancelled AND NOT held.facets ? 'ended'
    AND held.facets @> '{"main": true}'
    AND (held.id <> ALL($1) OR held.id < claim.record_id)
