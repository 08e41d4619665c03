UPDATE devices SET
    last_contact_at = $2,
    last_sync_at = $2,
    unsent = $3,
    unsent_since = CASE WHEN $3 > 0 THEN coalesce(unsent_since, $2) END
WHERE id = $1
