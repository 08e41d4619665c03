INSERT INTO audit_entries (
    seq, at, user_id, device_id, action, outcome, area_code, subject_kind, subject_id,
    detail, request_id, address, prev_hash, hash
)
SELECT * FROM unnest(
    $1::bigint[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::bytea[], $14::bytea[]
)
