SELECT refused.record_id, refused.hash, refused.code, refused.field
FROM unnest($1::uuid[], $2::bytea[]) AS asked (record_id, hash)
JOIN refused_items AS refused USING (record_id, hash)
