-- The register: everything that the server, too, has or will have again from the outbox.
-- `row` is a short number of a record for the tables that name many; it means nothing outside this file.

-- What lists read. Apart from `register`, so that a list passes over no long values.
CREATE TABLE record (
  row INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  type TEXT NOT NULL,
  area TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  fields BLOB NOT NULL            -- MessagePack: flat key → value
) STRICT;
CREATE INDEX record_list ON record (type, cancelled, id);

-- What merging reads.
CREATE TABLE register (
  row INTEGER PRIMARY KEY,
  registers BLOB NOT NULL,        -- MessagePack of Registers
  confirmed BLOB NOT NULL,        -- MessagePack: hashes, ascending
  tokens TEXT NOT NULL            -- what `token` holds of this record, word for word
) STRICT;

CREATE TABLE change (
  n INTEGER PRIMARY KEY,          -- the order in which they were taken
  row INTEGER NOT NULL,
  hash BLOB NOT NULL,
  confirmed INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT;
CREATE INDEX change_record ON change (row);
CREATE INDEX change_pending ON change (row) WHERE confirmed = 0;

-- Search by equal tokens, each written in hexadecimal so that no tokenizer can part or fold it. Keeps no text: taking a
-- record out needs the words that were put in. With secure-delete it takes the words themselves out, too.
CREATE VIRTUAL TABLE token USING fts5 (
  tokens, content = '', columnsize = 0, detail = none, tokenize = 'ascii'
);
INSERT INTO token (token, rank) VALUES ('secure-delete', 1);

CREATE TABLE link (
  row INTEGER NOT NULL,
  field TEXT NOT NULL,
  target BLOB NOT NULL,
  PRIMARY KEY (row, field, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_target ON link (target);

CREATE TABLE member (
  row INTEGER NOT NULL,
  scope TEXT NOT NULL,
  PRIMARY KEY (row, scope)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_scope ON member (scope);

CREATE TABLE cursor (
  scope TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE state (
  key TEXT PRIMARY KEY,
  scope TEXT NOT NULL,
  json TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX state_scope ON state (scope);

CREATE TABLE event (
  id BLOB PRIMARY KEY,
  area TEXT NOT NULL,
  event BLOB NOT NULL             -- MessagePack of EventEntry
) STRICT;
CREATE INDEX event_area ON event (area);

CREATE TABLE event_about (
  record BLOB NOT NULL,
  event BLOB NOT NULL,
  PRIMARY KEY (record, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_about_event ON event_about (event);

-- One row: the number of the outbox's last half that this file has taken, NULL until it was told where to start; and
-- what lists, links and tokens were derived by.
CREATE TABLE stand (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  taken INTEGER,
  projected TEXT NOT NULL
) STRICT;
INSERT INTO stand (one, taken, projected) VALUES (1, NULL, '');
