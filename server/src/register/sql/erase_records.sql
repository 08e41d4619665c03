UPDATE records SET
    erased_at = $2,
    epoch = epoch + 1,
    version = version + 1,
    cancelled = true,
    heads = '',
    state = '',
    wrapped_key = '',
    facets = '{}',
    updated_at = $2
WHERE id = ANY($1) AND erased_at IS NULL
