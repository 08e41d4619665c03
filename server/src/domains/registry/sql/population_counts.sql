SELECT area_code::text, kind, count(*)
FROM population_changes
WHERE ($1::text IS NULL OR area_code ^@ $1)
    AND ($2::timestamptz IS NULL OR accepted_at >= $2)
    AND ($3::timestamptz IS NULL OR accepted_at < $3)
GROUP BY area_code, kind
ORDER BY area_code, kind
