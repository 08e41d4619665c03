-- 0074 saw no device where the owner of the tables is no superuser: behind the wall, without a word of the areas.
SELECT set_config('doorstep.areas', '%', true);
UPDATE alarms SET area_code = devices.area_code FROM devices
WHERE devices.id = alarms.device_id AND alarms.area_code = '310000000000';
