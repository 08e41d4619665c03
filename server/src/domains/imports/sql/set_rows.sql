UPDATE import_rows
SET verdict = new.verdict, warnings = new.warnings, state = new.state, record_id = new.record_id,
    duplicate_of = new.duplicate_of, duplicate_row = new.duplicate_row, body = new.body
FROM unnest($2::int[], $3::text[], $4::int[], $5::text[], $6::uuid[], $7::uuid[], $8::int[], $9::bytea[])
    AS new (row, verdict, warnings, state, record_id, duplicate_of, duplicate_row, body)
WHERE import_rows.import_id = $1 AND import_rows.row = new.row
