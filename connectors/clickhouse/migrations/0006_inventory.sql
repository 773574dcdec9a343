-- The inventory. Rows hold absolute values and may be inserted again: of the rows with one key the largest numbers count, and the
-- earliest and latest times, so a row that comes again, or of an earlier checkpoint, changes nothing. The maps hold the number of
-- events by value.

CREATE TABLE IF NOT EXISTS {{.Table "agents"}} {{.OnCluster}}
(
    tenant            LowCardinality(String) COMMENT 'Tenant that the agent belongs to',
    agent_uid         String COMMENT 'Identity of the agent',
    part              UInt8 COMMENT 'Range of hashes that the row comes from',
    first_seen        SimpleAggregateFunction(min, DateTime64(9, 'UTC')) COMMENT 'Event time of the first event',
    last_seen         SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'Event time of the last event',
    newest_use        SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'Event time at which a value was new for the last time: new behaviour',
    pos               SimpleAggregateFunction(max, UInt64) COMMENT 'Number of the last checkpoint that changed the row',
    latest_name       SimpleAggregateFunction(max, Tuple(at DateTime64(9, 'UTC'), value String)) COMMENT 'Latest name of the agent, with the time when it was last seen',
    latest_uid_source SimpleAggregateFunction(max, Tuple(at DateTime64(9, 'UTC'), value String)) COMMENT 'Latest field that the identity was taken from, with the time when it was last seen',
    registration      SimpleAggregateFunction(max, Tuple(at DateTime64(9, 'UTC'), registered Bool, owner String)) COMMENT 'Whether the registry of the site has the agent, and its owner, as of the latest row',
    events            SimpleAggregateFunction(max, UInt64) COMMENT 'Number of events',
    success           SimpleAggregateFunction(max, UInt64) COMMENT 'Events that succeeded',
    failure           SimpleAggregateFunction(max, UInt64) COMMENT 'Events that failed',
    blocked           SimpleAggregateFunction(max, UInt64) COMMENT 'Events that a control blocked',
    input_tokens      SimpleAggregateFunction(max, UInt64) COMMENT 'Input tokens, cached ones included',
    output_tokens     SimpleAggregateFunction(max, UInt64) COMMENT 'Output tokens',
    cost              SimpleAggregateFunction(max, Decimal(38, 9)) COMMENT 'Cost in USD',
    names             SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Names, with the number of events',
    uid_sources       SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Fields that the identity was taken from, with the number of events',
    declared_uids     SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Ids that the agent declared itself, with the number of events',
    workflows         SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'What the agent was set to do, with the number of events',
    frameworks        SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Frameworks, with the number of events',
    datasets          SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Sources that show it, with the number of events',
    credentials       SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Credentials, with the number of events',
    credential_types  SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Types of its credentials, with the number of events',
    users             SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Users, with the number of events',
    on_behalf_of      SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'People that delegated to it, with the number of events',
    client_apps       SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Client applications, with the number of events',
    tools             SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Tools that were called, with the number of events',
    mcp_servers       SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'MCP servers, with the number of events',
    models            SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Models, with the number of events',
    providers         SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Providers of models, with the number of events',
    destinations      SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Hosts and services that were called, with the number of events',
    routes            SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Routes, with the number of events',
    cloud_actions     SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Actions in audit trails, with the number of events',
    resource_types    SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Types of resources, with the number of events',
    accounts          SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Cloud accounts, with the number of events',
    networks          SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Networks that the calls came from: /24 of IPv4, /48 of IPv6, with the number of events',
    first_uses        SimpleAggregateFunction(minMap, Map(String, DateTime('UTC'))) COMMENT 'When each value was seen first, by kind and value, such as tools/read_mail',
    omitted           SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Number of events with values over the limit of 256 for one kind, by kind'
)
ENGINE = {{.Engine "AggregatingMergeTree"}}
ORDER BY (tenant, agent_uid, part)
COMMENT 'Inventory of agents: one row for each, whether registered or not; read v_agents instead, which shows each agent once';

CREATE TABLE IF NOT EXISTS {{.Table "credentials"}} {{.OnCluster}}
(
    tenant           LowCardinality(String) COMMENT 'Tenant that the credential belongs to',
    credential_uid   String COMMENT 'Key id, or hex of the SHA-256 of the secret; never the secret',
    part             UInt8 COMMENT 'Range of hashes that the row comes from',
    first_seen       SimpleAggregateFunction(min, DateTime64(9, 'UTC')) COMMENT 'Event time of the first event',
    last_seen        SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'Event time of the last event',
    newest_use       SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'Event time at which a value was new for the last time: new behaviour',
    pos              SimpleAggregateFunction(max, UInt64) COMMENT 'Number of the last checkpoint that changed the row',
    latest_type      SimpleAggregateFunction(max, Tuple(at DateTime64(9, 'UTC'), value String)) COMMENT 'Latest type of the credential: api_key, jwt, sigv4, mtls or session, with the time when it was last seen',
    events           SimpleAggregateFunction(max, UInt64) COMMENT 'Number of events',
    success          SimpleAggregateFunction(max, UInt64) COMMENT 'Events that succeeded',
    failure          SimpleAggregateFunction(max, UInt64) COMMENT 'Events that failed',
    blocked          SimpleAggregateFunction(max, UInt64) COMMENT 'Events that a control blocked',
    input_tokens     SimpleAggregateFunction(max, UInt64) COMMENT 'Input tokens, cached ones included',
    output_tokens    SimpleAggregateFunction(max, UInt64) COMMENT 'Output tokens',
    cost             SimpleAggregateFunction(max, Decimal(38, 9)) COMMENT 'Cost in USD',
    datasets         SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Sources that show it, with the number of events',
    agents           SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Agents behind it, with the number of events',
    credential_types SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Types of its credentials, with the number of events',
    users            SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Users, with the number of events',
    on_behalf_of     SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'People that delegated to it, with the number of events',
    client_apps      SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Client applications, with the number of events',
    tools            SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Tools that were called, with the number of events',
    mcp_servers      SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'MCP servers, with the number of events',
    models           SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Models, with the number of events',
    destinations     SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Hosts and services that were called, with the number of events',
    routes           SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Routes, with the number of events',
    cloud_actions    SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Actions in audit trails, with the number of events',
    resource_types   SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Types of resources, with the number of events',
    accounts         SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Cloud accounts, with the number of events',
    networks         SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Networks that the calls came from: /24 of IPv4, /48 of IPv6, with the number of events',
    first_uses       SimpleAggregateFunction(minMap, Map(String, DateTime('UTC'))) COMMENT 'When each value was seen first, by kind and value, such as tools/read_mail',
    omitted          SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Number of events with values over the limit of 256 for one kind, by kind'
)
ENGINE = {{.Engine "AggregatingMergeTree"}}
ORDER BY (tenant, credential_uid, part)
COMMENT 'Inventory of credentials, with the agents behind them and what they reach; read v_credentials instead';

CREATE TABLE IF NOT EXISTS {{.Table "tools"}} {{.OnCluster}}
(
    tenant        LowCardinality(String) COMMENT 'Tenant',
    type          LowCardinality(String) COMMENT 'tool, mcp_server or model',
    name          String COMMENT 'Name of the tool, MCP server or model',
    part          UInt8 COMMENT 'Range of hashes that the row comes from',
    first_seen    SimpleAggregateFunction(min, DateTime64(9, 'UTC')) COMMENT 'Event time of the first event',
    last_seen     SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'Event time of the last event',
    newest_use    SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'Event time at which a value was new for the last time: new behaviour',
    pos           SimpleAggregateFunction(max, UInt64) COMMENT 'Number of the last checkpoint that changed the row',
    events        SimpleAggregateFunction(max, UInt64) COMMENT 'Number of events',
    success       SimpleAggregateFunction(max, UInt64) COMMENT 'Events that succeeded',
    failure       SimpleAggregateFunction(max, UInt64) COMMENT 'Events that failed',
    blocked       SimpleAggregateFunction(max, UInt64) COMMENT 'Events that a control blocked',
    input_tokens  SimpleAggregateFunction(max, UInt64) COMMENT 'Input tokens, cached ones included',
    output_tokens SimpleAggregateFunction(max, UInt64) COMMENT 'Output tokens',
    cost          SimpleAggregateFunction(max, Decimal(38, 9)) COMMENT 'Cost in USD',
    datasets      SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Sources that show it, with the number of events',
    agents        SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Agents behind it, with the number of events',
    credentials   SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Credentials, with the number of events',
    tools         SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Tools that were called, with the number of events',
    mcp_servers   SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'MCP servers, with the number of events',
    destinations  SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Hosts and services that were called, with the number of events',
    providers     SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Providers of models, with the number of events',
    first_uses    SimpleAggregateFunction(minMap, Map(String, DateTime('UTC'))) COMMENT 'When each value was seen first, by kind and value, such as tools/read_mail',
    omitted       SimpleAggregateFunction(maxMap, Map(String, UInt64)) COMMENT 'Number of events with values over the limit of 256 for one kind, by kind'
)
ENGINE = {{.Engine "AggregatingMergeTree"}}
ORDER BY (tenant, type, name, part)
COMMENT 'Inventory of tools, MCP servers and models, with the agents behind them; read v_tools instead';

-- What each agent did in each minute of event time. Rows hold the totals of their minute so far.
CREATE TABLE IF NOT EXISTS {{.Table "agent_activity_1m"}} {{.OnCluster}}
(
    tenant        LowCardinality(String) COMMENT 'Tenant that the agent belongs to',
    agent_uid     String COMMENT 'Identity of the agent',
    class         LowCardinality(String) COMMENT 'Kind of activity: api, http, llm, tool, auth, audit or guardrail',
    action        LowCardinality(String) COMMENT 'Operation, such as chat, tools/call or s3:GetObject; (other actions) for those over the limit of 256 in one minute',
    minute        DateTime('UTC') COMMENT 'Beginning of the minute, event time',
    part          UInt8 COMMENT 'Range of hashes that the row comes from',
    events        UInt64 COMMENT 'Number of events',
    success       UInt64 COMMENT 'Events that succeeded',
    failure       UInt64 COMMENT 'Events that failed',
    blocked       UInt64 COMMENT 'Events that a control blocked',
    input_tokens  UInt64 COMMENT 'Input tokens, cached ones included',
    output_tokens UInt64 COMMENT 'Output tokens',
    cost          Decimal(38, 9) COMMENT 'Cost in USD',
    pos           UInt64 COMMENT 'Number of the checkpoint that made the row; the highest one counts'
)
ENGINE = {{.Engine "ReplacingMergeTree(pos)"}}
PARTITION BY toYYYYMM(minute)
ORDER BY (tenant, agent_uid, class, action, minute, part)
{{.TTL "minute"}}
COMMENT 'What each agent did in each minute, by class and action; read v_agent_activity_1m instead';

CREATE OR REPLACE VIEW {{.Table "v_agents"}} {{.OnCluster}} AS
SELECT
    t.tenant AS tenant,
    t.agent_uid AS agent_uid,
    max(t.latest_name).2 AS agent_name,
    max(t.latest_uid_source).2 AS agent_uid_source,
    max(t.registration).2 AS registered,
    max(t.registration).3 AS owner,
    min(t.first_seen) AS first_seen,
    max(t.last_seen) AS last_seen,
    max(t.newest_use) AS newest_use,
    sum(t.events) AS events,
    sum(t.success) AS success,
    sum(t.failure) AS failure,
    sum(t.blocked) AS blocked,
    sum(t.input_tokens) AS input_tokens,
    sum(t.output_tokens) AS output_tokens,
    sum(t.cost) AS cost,
    sumMap(t.names) AS names,
    sumMap(t.uid_sources) AS uid_sources,
    sumMap(t.declared_uids) AS declared_uids,
    sumMap(t.workflows) AS workflows,
    sumMap(t.frameworks) AS frameworks,
    sumMap(t.datasets) AS datasets,
    sumMap(t.credentials) AS credentials,
    sumMap(t.credential_types) AS credential_types,
    sumMap(t.users) AS users,
    sumMap(t.on_behalf_of) AS on_behalf_of,
    sumMap(t.client_apps) AS client_apps,
    sumMap(t.tools) AS tools,
    sumMap(t.mcp_servers) AS mcp_servers,
    sumMap(t.models) AS models,
    sumMap(t.providers) AS providers,
    sumMap(t.destinations) AS destinations,
    sumMap(t.routes) AS routes,
    sumMap(t.cloud_actions) AS cloud_actions,
    sumMap(t.resource_types) AS resource_types,
    sumMap(t.accounts) AS accounts,
    sumMap(t.networks) AS networks,
    minMap(t.first_uses) AS first_uses,
    sumMap(t.omitted) AS omitted
FROM {{.Table "agents"}} AS t FINAL
GROUP BY tenant, agent_uid;

CREATE OR REPLACE VIEW {{.Table "v_shadow_agents"}} {{.OnCluster}} AS
SELECT
    tenant,
    agent_uid,
    agent_name,
    agent_uid_source,
    owner,
    first_seen,
    last_seen,
    mapKeys(datasets) AS datasets,
    mapKeys(tools) AS tools,
    mapKeys(destinations) AS destinations,
    mapKeys(credentials) AS credentials,
    events,
    cost
FROM {{.Table "v_agents"}}
WHERE NOT registered;

CREATE OR REPLACE VIEW {{.Table "v_credentials"}} {{.OnCluster}} AS
SELECT
    t.tenant AS tenant,
    t.credential_uid AS credential_uid,
    max(t.latest_type).2 AS credential_type,
    min(t.first_seen) AS first_seen,
    max(t.last_seen) AS last_seen,
    max(t.newest_use) AS newest_use,
    sum(t.events) AS events,
    sum(t.success) AS success,
    sum(t.failure) AS failure,
    sum(t.blocked) AS blocked,
    sum(t.input_tokens) AS input_tokens,
    sum(t.output_tokens) AS output_tokens,
    sum(t.cost) AS cost,
    sumMap(t.datasets) AS datasets,
    sumMap(t.agents) AS agents,
    sumMap(t.credential_types) AS credential_types,
    sumMap(t.users) AS users,
    sumMap(t.on_behalf_of) AS on_behalf_of,
    sumMap(t.client_apps) AS client_apps,
    sumMap(t.tools) AS tools,
    sumMap(t.mcp_servers) AS mcp_servers,
    sumMap(t.models) AS models,
    sumMap(t.destinations) AS destinations,
    sumMap(t.routes) AS routes,
    sumMap(t.cloud_actions) AS cloud_actions,
    sumMap(t.resource_types) AS resource_types,
    sumMap(t.accounts) AS accounts,
    sumMap(t.networks) AS networks,
    minMap(t.first_uses) AS first_uses,
    sumMap(t.omitted) AS omitted,
    length(agents) > 1 AS shared,
    length(tools) + length(mcp_servers) + length(destinations) + length(cloud_actions) + length(resource_types) + length(accounts) + length(agents) AS reach
FROM {{.Table "credentials"}} AS t FINAL
GROUP BY tenant, credential_uid;

CREATE OR REPLACE VIEW {{.Table "v_tools"}} {{.OnCluster}} AS
SELECT
    t.tenant AS tenant,
    t.type AS type,
    t.name AS name,
    min(t.first_seen) AS first_seen,
    max(t.last_seen) AS last_seen,
    max(t.newest_use) AS newest_use,
    sum(t.events) AS events,
    sum(t.success) AS success,
    sum(t.failure) AS failure,
    sum(t.blocked) AS blocked,
    sum(t.input_tokens) AS input_tokens,
    sum(t.output_tokens) AS output_tokens,
    sum(t.cost) AS cost,
    sumMap(t.datasets) AS datasets,
    sumMap(t.agents) AS agents,
    sumMap(t.credentials) AS credentials,
    sumMap(t.tools) AS tools,
    sumMap(t.mcp_servers) AS mcp_servers,
    sumMap(t.destinations) AS destinations,
    sumMap(t.providers) AS providers,
    minMap(t.first_uses) AS first_uses,
    sumMap(t.omitted) AS omitted
FROM {{.Table "tools"}} AS t FINAL
GROUP BY tenant, type, name;

CREATE OR REPLACE VIEW {{.Table "v_agent_activity_1m"}} {{.OnCluster}} AS
SELECT
    t.tenant AS tenant,
    t.agent_uid AS agent_uid,
    t.class AS class,
    t.action AS action,
    t.minute AS minute,
    sum(t.events) AS events,
    sum(t.success) AS success,
    sum(t.failure) AS failure,
    sum(t.blocked) AS blocked,
    sum(t.input_tokens) AS input_tokens,
    sum(t.output_tokens) AS output_tokens,
    sum(t.cost) AS cost
FROM {{.Table "agent_activity_1m"}} AS t FINAL
GROUP BY tenant, agent_uid, class, action, minute;

CREATE OR REPLACE VIEW {{.Table "v_agent_timeline"}} {{.OnCluster}} AS
SELECT
    tenant,
    agent_uid,
    toDateTime64(minute, 9, 'UTC') AS time,
    'activity' AS what,
    class AS kind,
    action AS name,
    '' AS severity,
    events,
    failure,
    blocked,
    '' AS summary,
    toUUID('00000000-0000-0000-0000-000000000000') AS finding_id
FROM {{.Table "v_agent_activity_1m"}}
UNION ALL
SELECT
    tenant,
    agent_uid,
    last_seen AS time,
    'finding' AS what,
    kind,
    rule_id AS name,
    toString(severity) AS severity,
    toUInt64(count) AS events,
    toUInt64(0) AS failure,
    toUInt64(0) AS blocked,
    summary,
    id AS finding_id
FROM {{.Table "v_findings"}}
WHERE status != 'withdrawn' AND NOT operational;

CREATE OR REPLACE VIEW {{.Table "v_cost"}} {{.OnCluster}} AS
SELECT
    tenant,
    agent_uid,
    toDate(minute) AS day,
    sum(t.events) AS events,
    sum(t.input_tokens) AS input_tokens,
    sum(t.output_tokens) AS output_tokens,
    sum(t.cost) AS cost
FROM {{.Table "v_agent_activity_1m"}} AS t
GROUP BY tenant, agent_uid, day;

CREATE OR REPLACE VIEW {{.Table "v_rule_quality"}} {{.OnCluster}} AS
SELECT
    rule_id,
    toDate(group_start) AS day,
    any(shadow) AS shadow,
    toString(max(severity)) AS severity,
    count() AS number,
    uniqExact(tenant, agent_uid) AS number_of_agents,
    countIf(status = 'withdrawn') AS withdrawn_number,
    countIf(status = 'open') AS open_number,
    countIf(late) AS late_number,
    sum(count) AS number_of_events
FROM {{.Table "v_findings"}}
WHERE NOT operational
GROUP BY rule_id, day;
