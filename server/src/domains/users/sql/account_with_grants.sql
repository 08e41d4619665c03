-- An account with the grants that nobody took back; one row with no grant where there is none.
SELECT account.id AS account_id, account.login, account.area_code::text AS account_area, account.status,
       held.id, held.user_id, held.role, held.area_code::text AS area_code, held.ends_on, held.granted_by,
       held.granted_at, held.revoked_by, held.revoked_at, held.tag
FROM users AS account
LEFT JOIN grants AS held ON held.user_id = account.id AND held.revoked_at IS NULL
WHERE account.id = $1
ORDER BY held.granted_at, held.id
