INSERT INTO areas (code, name, level, parent, changed_in)
SELECT code, name, level, parent, $1
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS new (code, name, level, parent)
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name,
    parent = excluded.parent,
    changed_in = excluded.changed_in,
    retired_in = NULL
