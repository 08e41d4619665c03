DELETE FROM relation_reviews
WHERE id = (SELECT id FROM relation_reviews ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING resident, household_token, cancelled
