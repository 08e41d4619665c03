SELECT id, areas, heads FROM records WHERE id = ANY($1) AND erased_at IS NULL ORDER BY id FOR UPDATE
