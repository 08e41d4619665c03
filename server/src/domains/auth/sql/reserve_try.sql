-- Counted before the password is checked, so that tries made at once can't outrun the lock.
-- The try that reaches the limit ($4) sets the lock ($3) and is still made; success takes the row away.
INSERT INTO sign_in_guards AS guard (login_token, failures, locked_until, last_at)
VALUES ($1, 1, CASE WHEN $4::integer <= 1 THEN $3::timestamptz END, $2::timestamptz)
ON CONFLICT (login_token) DO UPDATE SET
    failures = CASE WHEN guard.locked_until <= $2 THEN 1 ELSE guard.failures + 1 END,
    locked_until = CASE
        WHEN guard.locked_until > $2 THEN guard.locked_until
        WHEN guard.locked_until IS NULL AND guard.failures + 1 >= $4 THEN $3
    END,
    last_at = $2
RETURNING failures, locked_until
