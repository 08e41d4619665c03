-- Takes one try back, and with it the lock that it set ($2 failures lock); the failures before it stay counted.
UPDATE sign_in_guards SET
    failures = greatest(failures - 1, 0),
    locked_until = CASE WHEN failures > $2::integer THEN locked_until END
WHERE login_token = $1
