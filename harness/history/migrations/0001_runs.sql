-- The index of recorded runs. Derived: `harness history reindex` makes it again from the runs' folders.
CREATE TABLE harness_runs (
    id TEXT PRIMARY KEY,
    origin TEXT NOT NULL,
    scenario TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    title TEXT NOT NULL,
    mode TEXT NOT NULL,
    outcome TEXT NOT NULL,
    exit_code BIGINT,
    started_at_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    bring_up_ms BIGINT NOT NULL,
    readiness_ms BIGINT NOT NULL,
    demanded_ms BIGINT,
    context TEXT,
    server TEXT,
    harness TEXT NOT NULL,
    kubernetes TEXT,
    prometheus TEXT,
    alertmanager TEXT,
    compress BIGINT,
    left_behind BIGINT NOT NULL,
    log_bytes BIGINT NOT NULL
);
CREATE INDEX harness_runs_started ON harness_runs (started_at_ms);
CREATE INDEX harness_runs_scenario ON harness_runs (sha256, started_at_ms);
CREATE TABLE harness_measures (
    run TEXT NOT NULL REFERENCES harness_runs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    unit TEXT NOT NULL,
    better TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    resolution DOUBLE PRECISION NOT NULL,
    deadline DOUBLE PRECISION,
    PRIMARY KEY (run, name, subject)
);
