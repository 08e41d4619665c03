-- Keys of areas, wrapped by the root key, which is never in the database. A key is useless without it.
CREATE TABLE area_keys (
    area_code area_code NOT NULL,
    version   integer   NOT NULL CHECK (version > 0),
    wrapped   bytea     NOT NULL,
    PRIMARY KEY (area_code, version)
);
REVOKE UPDATE, DELETE ON area_keys FROM doorstep_app;
