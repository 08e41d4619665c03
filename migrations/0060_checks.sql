-- Checks (核查): what those responsible for an address are asked to find out, and what they answered.

-- When a claim's checks were opened.
ALTER TABLE conflicts ADD COLUMN checks_opened_at timestamptz;
CREATE INDEX conflicts_unchecked ON conflicts (opened_at, id)
    WHERE kind = 'main_residence' AND status = 'open' AND checks_opened_at IS NULL;

CREATE TABLE checks (
    id              uuid        PRIMARY KEY,
    kind            text        NOT NULL CHECK (kind IN ('main_residence', 'household_head', 'guardian')),
    -- Whose collectors are asked.
    area_code       area_code   NOT NULL,
    resident        uuid        NOT NULL,
    -- For a main residence, the residence that lies there.
    residence       uuid,
    -- The claim that it helps to decide.
    conflict_id     uuid        REFERENCES conflicts (id),
    -- Who changed, where it is about another person: the former head, the guardian.
    other           uuid,
    -- The household, as a blind token.
    household_token bigint,
    status          text        NOT NULL CHECK (status IN ('open', 'confirmed', 'denied', 'returned', 'closed')),
    opened_at       timestamptz NOT NULL,
    due_at          timestamptz NOT NULL,
    -- When supervisors were told that it is overdue.
    escalated_at    timestamptz,
    ended_at        timestamptz,
    -- The event that answered it, and whose it is.
    answer          uuid,
    answered_by     uuid,
    CHECK ((status = 'open') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX checks_of_claim ON checks (conflict_id, residence);
CREATE UNIQUE INDEX checks_household ON checks (household_token) WHERE kind = 'household_head' AND status = 'open';
CREATE UNIQUE INDEX checks_guardian ON checks (resident, other) WHERE kind = 'guardian' AND status = 'open';
CREATE INDEX checks_area ON checks (area_code text_pattern_ops, status, due_at, id);
CREATE INDEX checks_due ON checks (due_at) WHERE status = 'open' AND escalated_at IS NULL;
CREATE INDEX checks_resident ON checks (resident);
CALL scope_by_area('checks', 'area_code');
REVOKE DELETE ON checks FROM doorstep_app;

-- What became of each answer, so that none counts twice.
CREATE TABLE check_answers (
    event_id uuid        PRIMARY KEY,
    -- taken, late, not_responsible or unknown.
    outcome  text        NOT NULL,
    at       timestamptz NOT NULL
);
CREATE INDEX events_check_answers ON events (accepted_at, id) WHERE event_type = 'check_answer';
