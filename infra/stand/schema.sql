-- The company's own application database, as far as its privacy officer has
-- mapped it: what pythonmaster keeps about the people who learn there.

CREATE TABLE accounts (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email           text UNIQUE,     -- empty once the account is anonymised
    name            text,
    phone           text,
    stripe_customer text UNIQUE,
    created_at      timestamptz NOT NULL,
    closed_at            timestamptz, -- when the account was closed; empty while it is open
    restricted_at        timestamptz, -- set: stored, and used for nothing else
    marketing_opt_out_at timestamptz  -- set: no advertising
);

CREATE TABLE course_progress (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts (id),
    course     text NOT NULL,
    score      integer,
    watched    integer NOT NULL,     -- minutes of video
    updated_at timestamptz NOT NULL
);
CREATE INDEX ON course_progress (account_id);

CREATE TABLE payments (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id   bigint NOT NULL REFERENCES accounts (id),
    amount_cents integer NOT NULL,
    currency     text NOT NULL,
    card_last4   text,
    billing_name text,
    paid_at      timestamptz NOT NULL
);
CREATE INDEX ON payments (account_id);

CREATE TABLE newsletter (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email      text NOT NULL UNIQUE,
    consent_at timestamptz NOT NULL,
    active_at            timestamptz NOT NULL DEFAULT now(), -- when a mail was last opened or clicked; at first the day of the subscription
    restricted_at        timestamptz,
    marketing_opt_out_at timestamptz
);

-- Two people own a row here: erasing one must leave the other's columns alone.
CREATE TABLE study_groups (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title        text NOT NULL,
    owner_id     bigint REFERENCES accounts (id),
    partner_id   bigint REFERENCES accounts (id),
    owner_note   text,
    partner_note text
);
CREATE INDEX ON study_groups (owner_id);
CREATE INDEX ON study_groups (partner_id);
