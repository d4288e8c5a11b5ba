-- The service registry, version 1.
--
-- Every key starts with the organization, the LLMs and the settings of the whole store aside: no statement reads or
-- changes rows of two organizations. Ids are the 12 bytes that are written as 24 hexadecimal digits; their order is the
-- order of the digits. Text compares byte by byte, which for UTF-8 is code point by code point. Times are microseconds
-- since 1970.

-- The guard row of each organization. Every service write and every catalog change moves one of its counters.
CREATE TABLE organizations (
    organization     TEXT    NOT NULL COLLATE BINARY PRIMARY KEY,
    -- The revision of the last service write: 1, 2, 3, … without gaps.
    revision         INTEGER NOT NULL DEFAULT 0 CHECK (revision >= 0),
    -- How often the catalog has changed.
    catalog_revision INTEGER NOT NULL DEFAULT 0 CHECK (catalog_revision >= 0)
) STRICT, WITHOUT ROWID;

-- What each service write left behind. Rows never change. Bodies are long, so this table alone has row ids: its tree
-- stays shallow, and a new row goes to its end. A continuation token is a revision, so id, name and activeness are columns:
-- they are where a listing goes on.
CREATE TABLE history (
    organization TEXT    NOT NULL COLLATE BINARY REFERENCES organizations (organization),
    revision     INTEGER NOT NULL CHECK (revision >= 1),
    id           BLOB    NOT NULL CHECK (length(id) = 12),
    name         TEXT    NOT NULL COLLATE BINARY,
    is_active    INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    -- The whole service as JSON.
    body         TEXT    NOT NULL,
    PRIMARY KEY (organization, revision)
) STRICT;

-- The services as they are: what listings need to find, order and restrict them. The service itself is the row of history
-- that has its revision.
CREATE TABLE services (
    organization     TEXT    NOT NULL COLLATE BINARY REFERENCES organizations (organization),
    id               BLOB    NOT NULL CHECK (length(id) = 12),
    name             TEXT    NOT NULL COLLATE BINARY,
    is_active        INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    agent_id         BLOB    NOT NULL CHECK (length(agent_id) = 12),
    state_machine_id BLOB    NOT NULL CHECK (length(state_machine_id) = 12),
    -- A JSON object.
    tags             TEXT    NOT NULL,
    revision         INTEGER NOT NULL,
    PRIMARY KEY (organization, id),
    FOREIGN KEY (organization, revision) REFERENCES history (organization, revision)
) STRICT, WITHOUT ROWID;

-- At most one active service of an organization has a given name.
CREATE UNIQUE INDEX services_active_name ON services (organization, name) WHERE is_active = 1;
-- The three orders of listings. Names that fall need a tree of their own, because ids rise within a name all the same.
CREATE INDEX services_by_id ON services (organization, is_active, id);
CREATE INDEX services_by_name ON services (organization, is_active, name, id);
CREATE INDEX services_by_name_falling ON services (organization, is_active, name DESC, id);

-- The tags that services have. A row is there as long as some service has the tag. Written with the services, in one
-- transaction and by one function.
CREATE TABLE facets (
    organization TEXT    NOT NULL COLLATE BINARY REFERENCES organizations (organization),
    key          TEXT    NOT NULL COLLATE BINARY,
    has_value    INTEGER NOT NULL CHECK (has_value IN (0, 1)),
    -- Empty where there is none.
    value        TEXT    NOT NULL COLLATE BINARY CHECK (has_value = (value <> '')),
    -- How many services have it.
    services     INTEGER NOT NULL CHECK (services >= 0),
    PRIMARY KEY (organization, key, has_value, value)
) STRICT, WITHOUT ROWID;

-- The catalog of each organization.

CREATE TABLE agents (
    organization   TEXT    NOT NULL COLLATE BINARY REFERENCES organizations (organization),
    id             BLOB    NOT NULL CHECK (length(id) = 12),
    name           TEXT    NOT NULL,
    -- Null: no version yet.
    latest_version INTEGER CHECK (latest_version >= 1),
    deprecated     INTEGER NOT NULL CHECK (deprecated IN (0, 1)),
    PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE state_machines (
    organization   TEXT    NOT NULL COLLATE BINARY REFERENCES organizations (organization),
    id             BLOB    NOT NULL CHECK (length(id) = 12),
    name           TEXT    NOT NULL,
    latest_version INTEGER CHECK (latest_version >= 1),
    deprecated     INTEGER NOT NULL CHECK (deprecated IN (0, 1)),
    PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE simulation_unit_tests (
    organization     TEXT    NOT NULL COLLATE BINARY REFERENCES organizations (organization),
    id               BLOB    NOT NULL CHECK (length(id) = 12),
    service_id       BLOB    NOT NULL CHECK (length(service_id) = 12),
    version_set_name TEXT    NOT NULL COLLATE BINARY,
    deleted          INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;

-- The tests that count for a service.
CREATE INDEX simulation_unit_tests_live ON simulation_unit_tests (organization, service_id, version_set_name)
    WHERE deleted = 0;

CREATE TABLE roles (
    organization TEXT NOT NULL COLLATE BINARY REFERENCES organizations (organization),
    name         TEXT NOT NULL COLLATE BINARY,
    -- A JSON array of grants.
    grants       TEXT NOT NULL,
    PRIMARY KEY (organization, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    organization      TEXT NOT NULL COLLATE BINARY REFERENCES organizations (organization),
    -- The organization that issued the identity.
    user_organization TEXT NOT NULL COLLATE BINARY,
    user_id           TEXT NOT NULL COLLATE BINARY,
    -- A JSON array of names of roles, in order.
    roles             TEXT NOT NULL,
    PRIMARY KEY (organization, user_organization, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    organization TEXT    NOT NULL COLLATE BINARY REFERENCES organizations (organization),
    id           TEXT    NOT NULL COLLATE BINARY,
    -- The SHA-256 hash of the secret.
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;

-- What belongs to the whole store.

CREATE TABLE llms (
    name       TEXT    NOT NULL COLLATE BINARY PRIMARY KEY,
    deprecated INTEGER NOT NULL CHECK (deprecated IN (0, 1))
) STRICT, WITHOUT ROWID;

-- One row.
CREATE TABLE settings (
    only        INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    maintenance INTEGER NOT NULL CHECK (maintenance IN (0, 1))
) STRICT;

INSERT INTO settings (only, maintenance) VALUES (1, 0);
