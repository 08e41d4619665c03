SELECT id, areas, heads, merged_into IS NOT NULL AS merged
FROM records
WHERE id = ANY($1) AND erased_at IS NULL
ORDER BY id
FOR UPDATE
