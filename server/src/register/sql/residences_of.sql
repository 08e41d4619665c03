SELECT residence.id, links.target
FROM links
JOIN records AS residence ON residence.id = links.record_id
WHERE links.target = ANY($1) AND links.field = 'resident' AND residence.record_type = 'residence'
    AND NOT residence.cancelled AND NOT residence.facets ? 'ended'
ORDER BY residence.id
