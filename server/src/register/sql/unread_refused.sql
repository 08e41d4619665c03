SELECT refused.id, refused.conflict_id, refused.body, conflicts.area_code::text, conflicts.wrapped_key,
    conflicts.key_version
FROM refused_items AS refused
JOIN conflicts ON conflicts.id = refused.conflict_id
WHERE refused.subjects IS NULL AND refused.id > $1
ORDER BY refused.id
LIMIT $2
