INSERT INTO imports (id, record_type, area_code, status, rows, options, digest, created_by, created_at, wrapped_key,
    key_version, meta)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
