SELECT device_id, user_id, seq, digest, outcomes
FROM envelopes
JOIN unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS wanted (device_id, user_id, seq)
    USING (device_id, user_id, seq)
