SELECT s.id, s.user_id, s.device_id, s.last_seen_at, s.expires_at, s.password_at, s.ended_at,
       c.must_change_password, c.password_set_at
FROM sessions s
JOIN credentials c ON c.user_id = s.user_id
WHERE s.id = $1
