-- Residents whose change may leave a household without a head or a ward without a guardian: looked at after the commit.
CREATE TABLE relation_reviews (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resident        uuid        NOT NULL,
    -- The household that the resident headed or heads, as a blind token.
    household_token bigint,
    -- Whether the resident's file was cancelled.
    cancelled       boolean     NOT NULL,
    at              timestamptz NOT NULL
);
