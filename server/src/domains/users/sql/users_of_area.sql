-- The grants on these areas that nobody took back, of accounts that are open.
SELECT held.id, held.user_id, held.role, held.area_code::text, held.ends_on, held.granted_by, held.granted_at,
       held.revoked_by, held.revoked_at, held.tag
FROM grants AS held
JOIN users AS account ON account.id = held.user_id
WHERE held.area_code = ANY ($1) AND held.revoked_at IS NULL AND account.status = 'active'
ORDER BY held.granted_at, held.id
