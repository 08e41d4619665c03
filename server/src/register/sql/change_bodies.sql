SELECT record_id, hash, body
FROM changes
JOIN unnest($1::uuid[], $2::bytea[]) AS wanted (record_id, hash) USING (record_id, hash)
