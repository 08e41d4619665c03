UPDATE scopes SET seq = moved.seq, digest = moved.digest
FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS moved (scope, seq, digest)
WHERE scopes.scope = moved.scope
