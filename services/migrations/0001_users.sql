CREATE TABLE users (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- lower-case; the service lets only letters, digits, '.', '_' and '-' through
    username      text        NOT NULL UNIQUE CHECK (char_length(username) BETWEEN 3 AND 32),
    -- PHC string of argon2id
    password_hash text        NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);
