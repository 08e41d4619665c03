SELECT residence.id
FROM links AS home
JOIN records AS residence ON residence.id = home.record_id AND residence.record_type = 'residence'
WHERE home.target = $1 AND home.field = 'house' AND NOT residence.cancelled AND NOT residence.facets ? 'ended'
ORDER BY residence.id
