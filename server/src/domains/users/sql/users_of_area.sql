SELECT id, user_id, role, area_code::text, ends_on, granted_by, granted_at, revoked_by, revoked_at, tag
FROM grants
WHERE area_code = ANY ($1) AND revoked_at IS NULL
ORDER BY granted_at, id
