-- How new what is known of a standard address is, as the police write it (14 digits: year to second), also of those that
-- are withdrawn: a file that comes late changes nothing that a newer one said.
CREATE TABLE address_times (
    code       text PRIMARY KEY,
    updated_at text NOT NULL CHECK (updated_at ~ '^[0-9]{14}$')
);
