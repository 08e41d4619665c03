SELECT DISTINCT token
FROM records
JOIN record_tokens ON record_tokens.record_id = records.id
CROSS JOIN unnest(record_tokens.tokens) AS token
WHERE records.id = ANY($1) AND records.record_type = 'resident'
