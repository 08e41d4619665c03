SELECT id, user_id, area_code::text, public_key, name, platform, status, status_set_at, status_reason, enrolled_at,
       last_contact_at, last_sync_at, unsent, unsent_since, purge_owed_since
FROM devices
WHERE ($1::uuid IS NULL OR id > $1)
  AND ($2::text IS NULL OR area_code LIKE $2)
  AND ($3::uuid IS NULL OR user_id = $3)
  AND ($4::text IS NULL OR status = $4)
  AND (NOT $6 OR purge_owed_since IS NOT NULL AND status = 'active')
ORDER BY id
LIMIT $5
