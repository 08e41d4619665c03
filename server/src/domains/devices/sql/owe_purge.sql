-- Devices of the users $1 owe a purge since $2, unless they synced after it: then they were told, and answered. That
-- they signed in says nothing.
UPDATE devices SET purge_owed_since = $2
WHERE user_id = ANY ($1) AND status = 'active' AND purge_owed_since IS NULL
  AND coalesce(last_sync_at, enrolled_at) <= $2
