INSERT INTO record_tokens (record_id, areas, tokens)
SELECT id, area_line(areas::text[]), tokens::bigint[]
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS new (id, areas, tokens)
ON CONFLICT (record_id) DO UPDATE SET areas = excluded.areas, tokens = excluded.tokens
WHERE (record_tokens.areas, record_tokens.tokens) IS DISTINCT FROM (excluded.areas, excluded.tokens)
