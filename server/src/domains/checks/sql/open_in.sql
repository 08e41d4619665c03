-- Open checks of an area: whom they are about, where, until when.
SELECT id, resident, residence, due_at
FROM checks
WHERE status = 'open' AND area_code LIKE $1
