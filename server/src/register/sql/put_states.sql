INSERT INTO states (scope, key, json, changed_at)
SELECT DISTINCT ON (new.scope, new.key) new.scope, new.key, new.json, $4
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS new (scope, key, json, at)
ORDER BY new.scope, new.key, new.at DESC
ON CONFLICT (scope, key) DO UPDATE SET json = excluded.json, changed_at = excluded.changed_at
