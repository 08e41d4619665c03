SELECT refused.*
FROM unnest($1::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT record_id, hash, code, field FROM refused_items WHERE record_id = asked.id LIMIT 1
) AS refused
