SELECT id, user_id, area_code::text, public_key, name, platform, status, status_set_at, status_reason, enrolled_at,
       last_contact_at, last_sync_at, unsent, unsent_since, purge_owed_since
FROM devices
WHERE unsent > 0
  AND ($1::timestamptz IS NULL OR (coalesce(unsent_since, enrolled_at), id) > ($1, $2::uuid))
  AND ($3::text IS NULL OR area_code LIKE $3)
  AND ($4::uuid IS NULL OR user_id = $4)
  AND ($5::text IS NULL OR status = $5)
  AND (NOT $7 OR purge_owed_since IS NOT NULL AND status = 'active')
ORDER BY coalesce(unsent_since, enrolled_at), id
LIMIT $6
