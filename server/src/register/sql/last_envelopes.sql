SELECT wanted.device_id, wanted.user_id, coalesce(last.seq, 0)
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (device_id, user_id)
LEFT JOIN LATERAL (
    SELECT seq FROM envelopes
    WHERE envelopes.device_id = wanted.device_id AND envelopes.user_id = wanted.user_id
    ORDER BY seq DESC LIMIT 1
) AS last ON true
