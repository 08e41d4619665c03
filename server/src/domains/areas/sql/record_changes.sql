INSERT INTO area_changes (version, code, kind, name_before, name_after, parent_before, parent_after)
SELECT $1, *
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
