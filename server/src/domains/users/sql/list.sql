SELECT id, login, name_sealed, name_key_version, area_code::text, status, version, created_at
FROM users
WHERE ($1::uuid IS NULL OR id > $1)
  AND ($2::text IS NULL OR area_code LIKE $2)
  AND (($3::text IS NULL AND $4::bigint IS NULL) OR login LIKE $3 OR name_token = $4)
  AND ($5::text IS NULL OR EXISTS (
        SELECT FROM grants WHERE grants.user_id = users.id AND role = $5 AND revoked_at IS NULL))
  AND ($6::text IS NULL OR status = $6)
ORDER BY id
LIMIT $7
