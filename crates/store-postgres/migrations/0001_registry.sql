-- The service registry, version 1.
--
-- Every key starts with the organization, the LLMs and the settings of the whole store aside: no statement of a service
-- reads or changes rows of two organizations. Ids are the 12 bytes that are written as 24 hexadecimal digits; their order is
-- the order of the digits. Text that is compared has the collation "C": it compares byte by byte, which for UTF-8 is code
-- point by code point, whatever the locale of the database. Times are microseconds since 1970. What is JSON is kept as the
-- text that it was, not as jsonb, which would make other numbers of some. Where an index is given its own name, listings
-- rely on it.

-- The guard row of each organization. Every service write and every catalog change locks it first and moves one of its
-- counters. Each move writes the row anew, so its page has room for that.
CREATE TABLE service_registry.organizations (
    organization     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- The revision of the last service write: 1, 2, 3, … without gaps.
    revision         BIGINT NOT NULL DEFAULT 0 CHECK (revision >= 0),
    -- How often the catalog has changed.
    catalog_revision BIGINT NOT NULL DEFAULT 0 CHECK (catalog_revision >= 0)
) WITH (fillfactor = 50);

-- What each service write left behind. Rows never change. A continuation token is a revision, so id, name and activeness are
-- columns: they are where a listing goes on.
CREATE TABLE service_registry.history (
    organization TEXT COLLATE "C" NOT NULL REFERENCES service_registry.organizations (organization),
    revision     BIGINT NOT NULL CHECK (revision >= 1),
    id           BYTEA NOT NULL CHECK (octet_length(id) = 12),
    name         TEXT COLLATE "C" NOT NULL,
    is_active    BOOLEAN NOT NULL,
    -- The whole service as JSON.
    body         TEXT NOT NULL,
    PRIMARY KEY (organization, revision)
);

-- The services as they are: what listings need to find, order and restrict them. The service itself is the row of history
-- that has its revision.
CREATE TABLE service_registry.services (
    organization     TEXT COLLATE "C" NOT NULL,
    id               BYTEA NOT NULL CHECK (octet_length(id) = 12),
    name             TEXT COLLATE "C" NOT NULL,
    is_active        BOOLEAN NOT NULL,
    agent_id         BYTEA NOT NULL CHECK (octet_length(agent_id) = 12),
    state_machine_id BYTEA NOT NULL CHECK (octet_length(state_machine_id) = 12),
    -- The tags as JSON.
    tags             TEXT NOT NULL,
    revision         BIGINT NOT NULL,
    PRIMARY KEY (organization, id),
    FOREIGN KEY (organization, revision) REFERENCES service_registry.history (organization, revision)
) WITH (fillfactor = 90);

-- At most one active service of an organization has a given name.
CREATE UNIQUE INDEX services_active_name ON service_registry.services (organization, name) WHERE is_active;
-- The three orders of listings. Names that fall need an index of their own, because ids rise within a name all the same.
CREATE INDEX services_by_id ON service_registry.services (organization, is_active, id);
CREATE INDEX services_by_name ON service_registry.services (organization, is_active, name, id);
CREATE INDEX services_by_name_falling ON service_registry.services (organization, is_active, name DESC, id);

-- The tags that services have. A row is there as long as some service has the tag. It is written with the services that it
-- counts, by one statement under the guard row, so it bears no foreign key: that would cost a lookup per row.
CREATE TABLE service_registry.facets (
    organization TEXT COLLATE "C" NOT NULL,
    key          TEXT COLLATE "C" NOT NULL,
    has_value    BOOLEAN NOT NULL,
    -- Empty where there is none.
    value        TEXT COLLATE "C" NOT NULL CHECK (has_value = (value <> '')),
    -- How many services have it.
    services     BIGINT NOT NULL CHECK (services >= 1),
    PRIMARY KEY (organization, key, has_value, value)
) WITH (fillfactor = 70);

-- The catalog of each organization.

CREATE TABLE service_registry.agents (
    organization   TEXT COLLATE "C" NOT NULL REFERENCES service_registry.organizations (organization),
    id             BYTEA NOT NULL CHECK (octet_length(id) = 12),
    name           TEXT NOT NULL,
    -- Null: no version yet.
    latest_version BIGINT CHECK (latest_version >= 1),
    deprecated     BOOLEAN NOT NULL,
    PRIMARY KEY (organization, id)
);

CREATE TABLE service_registry.state_machines (
    organization   TEXT COLLATE "C" NOT NULL REFERENCES service_registry.organizations (organization),
    id             BYTEA NOT NULL CHECK (octet_length(id) = 12),
    name           TEXT NOT NULL,
    latest_version BIGINT CHECK (latest_version >= 1),
    deprecated     BOOLEAN NOT NULL,
    PRIMARY KEY (organization, id)
);

CREATE TABLE service_registry.simulation_unit_tests (
    organization     TEXT COLLATE "C" NOT NULL REFERENCES service_registry.organizations (organization),
    id               BYTEA NOT NULL CHECK (octet_length(id) = 12),
    service_id       BYTEA NOT NULL CHECK (octet_length(service_id) = 12),
    version_set_name TEXT COLLATE "C" NOT NULL,
    deleted          BOOLEAN NOT NULL,
    PRIMARY KEY (organization, id)
);

-- The tests that count for a service.
CREATE INDEX simulation_unit_tests_live
    ON service_registry.simulation_unit_tests (organization, service_id, version_set_name) WHERE NOT deleted;

CREATE TABLE service_registry.roles (
    organization TEXT COLLATE "C" NOT NULL REFERENCES service_registry.organizations (organization),
    name         TEXT COLLATE "C" NOT NULL,
    -- A JSON array of grants.
    grants       TEXT NOT NULL,
    PRIMARY KEY (organization, name)
);

CREATE TABLE service_registry.users (
    organization      TEXT COLLATE "C" NOT NULL REFERENCES service_registry.organizations (organization),
    -- The organization that issued the identity.
    user_organization TEXT COLLATE "C" NOT NULL,
    user_id           TEXT COLLATE "C" NOT NULL,
    -- A JSON array of names of roles, in order.
    roles             TEXT NOT NULL,
    PRIMARY KEY (organization, user_organization, user_id)
);

CREATE TABLE service_registry.api_keys (
    organization TEXT COLLATE "C" NOT NULL REFERENCES service_registry.organizations (organization),
    id           TEXT COLLATE "C" NOT NULL,
    -- The SHA-256 hash of the secret.
    hash         BYTEA NOT NULL CHECK (octet_length(hash) = 32),
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (organization, id)
);

-- What belongs to the whole store.

CREATE TABLE service_registry.llms (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    deprecated BOOLEAN NOT NULL
);

-- One row. Who changes the LLMs, or the store as a whole, locks it first.
CREATE TABLE service_registry.settings (
    one         INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    maintenance BOOLEAN NOT NULL
);

INSERT INTO service_registry.settings (one, maintenance) VALUES (1, FALSE);
