-- A new device needs a password that an administrator gave after the user's last device was stopped: whoever has the
-- phone may have the password too, and may change it at a console.
SELECT set_config('doorstep.areas', '%', true);
ALTER TABLE credentials ADD COLUMN handed_out_at timestamptz;
UPDATE credentials SET handed_out_at = password_set_at;
-- When it was revoked or told to wipe; `status_set_at` moves on when it says that it has.
ALTER TABLE devices ADD COLUMN stopped_at timestamptz;
UPDATE devices SET stopped_at = status_set_at WHERE status <> 'active';
