-- Alarms for those who look after devices: in the area of the device, with what they are about, and what repeats within
-- an hour as one.
ALTER TABLE alarms
    -- The area that the device's user belongs to; the city's where that is not known.
    ADD COLUMN area_code   area_code   NOT NULL DEFAULT '310000000000',
    ADD COLUMN record_type text,
    ADD COLUMN times       bigint      NOT NULL DEFAULT 1,
    -- The first time; `at` is the last.
    ADD COLUMN since       timestamptz,
    -- The hour whose repeats it counts; none for those from before.
    ADD COLUMN hour        timestamptz;
UPDATE alarms SET area_code = devices.area_code FROM devices WHERE devices.id = alarms.device_id;
CREATE UNIQUE INDEX alarms_hour ON alarms (device_id, user_id, code, hour) WHERE hour IS NOT NULL;
CREATE INDEX alarms_newest ON alarms (at DESC, id DESC);
CREATE INDEX alarms_user ON alarms (user_id);
DROP INDEX alarms_at;
CALL scope_by_area('alarms', 'area_code');
REVOKE DELETE ON alarms FROM doorstep_app;
