SELECT s.id, s.user_id, s.device_id, s.last_seen_at, s.expires_at, s.password_at, s.ended_at,
       c.must_change_password, c.password_set_at, coalesce(d.status <> 'active', false) AS device_stopped
FROM sessions s
JOIN credentials c ON c.user_id = s.user_id
LEFT JOIN devices d ON d.id = s.device_id
WHERE s.token_hash = $1
