-- The outbox: what was made on this device and not answered yet; until then it is nowhere else in the world.
-- AUTOINCREMENT, so that a number is never given twice, even when its row is gone.

CREATE TABLE item (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  item BLOB NOT NULL,             -- MessagePack of Item
  hash BLOB,
  made_at INTEGER NOT NULL,
  envelope INTEGER                -- the envelope it is under way in
) STRICT;
CREATE INDEX item_queued ON item (id) WHERE envelope IS NULL;

CREATE TABLE envelope (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  body BLOB NOT NULL,
  signature BLOB NOT NULL,
  items BLOB NOT NULL             -- MessagePack: ids of items, in order
) STRICT;

CREATE TABLE refused (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  refused BLOB NOT NULL           -- MessagePack of (item, refusal, at)
) STRICT;

-- The register's halves of the last batches that wrote both files: taken again when a crash or a power cut kept them
-- from that file. They go when the register has them for good.
CREATE TABLE half (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  half BLOB NOT NULL
) STRICT;
