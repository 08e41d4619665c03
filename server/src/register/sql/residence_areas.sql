-- The areas a resident's active residences lie in, with what the resident's record says now.
SELECT resident.id, resident.areas, resident.heads,
    coalesce(array_agg(DISTINCT held) FILTER (WHERE held IS NOT NULL), '{}') AS lives_in
FROM records AS resident
LEFT JOIN links ON links.target = resident.id AND links.field = 'resident'
LEFT JOIN records AS residence ON residence.id = links.record_id
    AND residence.record_type = 'residence' AND NOT residence.cancelled AND NOT residence.facets ? 'ended'
LEFT JOIN LATERAL unnest(residence.areas) AS held ON true
WHERE resident.id = ANY($1) AND resident.record_type = 'resident' AND resident.merged_into IS NULL
GROUP BY resident.id
ORDER BY resident.id
