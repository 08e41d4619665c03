-- Devices of the users $1 owe a purge since $2, unless they were in touch after it: then they were told, and answered.
UPDATE devices SET purge_owed_since = $2
WHERE user_id = ANY ($1) AND status = 'active' AND purge_owed_since IS NULL
  AND coalesce(last_contact_at, enrolled_at) <= $2
