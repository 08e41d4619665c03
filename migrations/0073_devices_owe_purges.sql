-- A device whose rights shrank still has what it may no longer hold, until it says that it purged it.
ALTER TABLE devices ADD COLUMN purge_owed_since timestamptz;
CREATE INDEX devices_owe_purge ON devices (id) WHERE purge_owed_since IS NOT NULL;
