SELECT kind, count(*), count(*) FILTER (WHERE status = 'open' AND due_at < $9)
FROM conflicts
WHERE ($1::text IS NULL OR (area_code ~>=~ $1 AND area_code ~<~ $10))
    AND ($2::text IS NULL OR status = $2)
    AND ($3::uuid IS NULL OR assignee = $3)
    AND (NOT $4 OR assignee IS NULL)
    AND ($5::text IS NULL OR (subject = $5 AND kind IN ('field', 'update_cancelled')))
    AND ($6::uuid IS NULL OR record_id = $6 OR other_id = $6)
    AND ($7::timestamptz IS NULL OR (status = 'open' AND due_at < $7))
    AND ($8::timestamptz IS NULL OR opened_at <= $8)
GROUP BY kind
