-- Every finding. Of the rows of a finding only the one with the highest revision counts, so rows may be inserted again.
-- Partitions follow group_start, which never changes for an id. The TTL follows detected_at, so that findings from old logs
-- are kept as long as others.
CREATE TABLE IF NOT EXISTS {{.Table "findings"}} {{.OnCluster}}
(
    id               UUID COMMENT 'Stable identity: the same rule, version, key and group always give the same id',
    revision         UInt64 COMMENT 'Grows by one with each change of the finding; the highest revision counts',
    status           Enum8('open' = 1, 'settled' = 2, 'withdrawn' = 3) COMMENT 'open: may still change; settled: final, its group has ended; withdrawn: a late event showed that it was wrong. Not a verdict of an analyst',
    rule_id          LowCardinality(String) COMMENT 'Rule that made the finding',
    rule_version     Int32 COMMENT 'Version of the rule',
    kind             LowCardinality(String) COMMENT 'Stateful clause of the rule: threshold, distinct, new_value, sequence ...; empty if the rule has no such clause',
    title            String COMMENT 'Title of the rule',
    severity         Enum8('info' = 1, 'low' = 2, 'medium' = 3, 'high' = 4, 'critical' = 5) COMMENT 'Severity of the rule; ordered, so severity >= ''high'' works',
    confidence       UInt8 COMMENT 'Confidence of the rule, 0 to 100',
    tags             Array(LowCardinality(String)) COMMENT 'OWASP, MITRE ATLAS and ATT&CK ids, and names of your own',
    shadow           Bool COMMENT 'The rule is on probation: its findings are stored and not delivered',
    tenant           LowCardinality(String) COMMENT 'Tenant that the agent belongs to',
    agent_uid        String COMMENT 'Identity of the agent',
    agent_name       String COMMENT 'Name of the agent, if the log has one',
    agent_uid_source LowCardinality(String) COMMENT 'Field from which the identity of the agent was taken',
    session_id       String COMMENT 'Session of the agent',
    key              Map(LowCardinality(String), String) COMMENT 'Fields that the rule groups by, and their values',
    group_start      DateTime64(9, 'UTC') COMMENT 'Event time of the trigger that opened the group; never changes for an id',
    first_seen       DateTime64(9, 'UTC') COMMENT 'Event time of the first event of the finding',
    last_seen        DateTime64(9, 'UTC') COMMENT 'Event time of the last trigger',
    detected_at      DateTime64(9, 'UTC') COMMENT 'Wall clock time of the first detection',
    count            Int64 COMMENT 'Number of events that the finding is based on',
    value            Nullable(Decimal(38, 9)) COMMENT 'Highest value at a trigger (lowest for rarity); values of more than 29 digits are replaced by the limit',
    threshold        Nullable(Decimal(38, 9)) COMMENT 'Threshold that the value crossed',
    baseline         String COMMENT 'Mean, spread and samples as JSON, for kinds with a history; empty for all other kinds',
    late             Bool COMMENT 'The event came later than its dataset allows, so the finding was made outside its group',
    warming_until    Nullable(DateTime64(9, 'UTC')) COMMENT 'The state of the rule was incomplete until this time: earlier events may be missing',
    explanation      String COMMENT 'One sentence about what happened',
    reasons          Array(String) COMMENT 'Parts of the condition and steps that matched',
    evidence Nested
    (
        event_id     String,
        identity     UUID,
        time         DateTime64(9, 'UTC'),
        topic        LowCardinality(String),
        partition    Int32,
        offset       Int64,
        index        Int64,
        dataset      LowCardinality(String),
        action       LowCardinality(String),
        resource     String,
        outcome      LowCardinality(String),
        step         LowCardinality(String),
        fields       Map(LowCardinality(String), String)
    ),
    response Nested
    (
        action       LowCardinality(String),
        target       LowCardinality(String),
        state        LowCardinality(String),
        mode         LowCardinality(String),
        ttl          LowCardinality(String),
        result       String
    ),
    INDEX id id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{.Engine "ReplacingMergeTree(revision)"}}
PARTITION BY toYYYYMM(group_start)
ORDER BY (tenant, rule_id, group_start, id)
{{.TTL "detected_at"}}
SETTINGS {{.Deduplicate}}
COMMENT 'Every finding with its evidence; read v_findings instead, which shows each finding once';

-- CREATE TABLE cannot give comments to the columns of a Nested.
ALTER TABLE {{.Table "findings"}} {{.OnCluster}}
    COMMENT COLUMN IF EXISTS `evidence.event_id` 'Id of the event, given by its producer (the first 3 and last 5 events are kept)',
    COMMENT COLUMN IF EXISTS `evidence.identity` 'Identity of the event: a hash of its record or id',
    COMMENT COLUMN IF EXISTS `evidence.time` 'Time at which the event ended, event time',
    COMMENT COLUMN IF EXISTS `evidence.topic` 'Kafka topic or file',
    COMMENT COLUMN IF EXISTS `evidence.partition` 'Kafka partition',
    COMMENT COLUMN IF EXISTS `evidence.offset` 'Kafka offset, or byte offset in the file',
    COMMENT COLUMN IF EXISTS `evidence.index` 'Number of the event within the record, from 0',
    COMMENT COLUMN IF EXISTS `evidence.dataset` 'Dataset: the kind of log',
    COMMENT COLUMN IF EXISTS `evidence.action` 'Action of the event',
    COMMENT COLUMN IF EXISTS `evidence.resource` 'Resource that the action was applied to',
    COMMENT COLUMN IF EXISTS `evidence.outcome` 'Outcome of the action',
    COMMENT COLUMN IF EXISTS `evidence.step` 'Step of a sequence that the event matched',
    COMMENT COLUMN IF EXISTS `evidence.fields` 'Fields that the rule mentions: texts as they are, other values as JSON',
    COMMENT COLUMN IF EXISTS `response.action` 'Action that the rule asks for: notify or contain',
    COMMENT COLUMN IF EXISTS `response.target` 'Endpoint, or scope of the containment',
    COMMENT COLUMN IF EXISTS `response.state` 'State of containment that the rule asks for',
    COMMENT COLUMN IF EXISTS `response.mode` 'monitor or enforce',
    COMMENT COLUMN IF EXISTS `response.ttl` 'Duration of the containment',
    COMMENT COLUMN IF EXISTS `response.result` 'Result of the action';

-- Filter this view with WHERE and not with PREWHERE, which also sees rows that were replaced.
CREATE VIEW IF NOT EXISTS {{.Table "v_findings"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "findings"}} FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE VIEW IF NOT EXISTS {{.Table "v_finding_events"}} {{.OnCluster}} AS
SELECT
    id AS finding_id,
    revision,
    status,
    rule_id,
    title,
    severity,
    shadow,
    tenant,
    agent_uid,
    agent_name,
    session_id,
    key,
    group_start,
    number,
    evidence.event_id AS event_id,
    evidence.identity AS identity,
    evidence.time AS time,
    evidence.topic AS topic,
    evidence.partition AS partition,
    evidence.offset AS offset,
    evidence.index AS index,
    evidence.dataset AS dataset,
    evidence.action AS action,
    evidence.resource AS resource,
    evidence.outcome AS outcome,
    evidence.step AS step,
    evidence.fields AS fields
FROM {{.Table "findings"}} FINAL
ARRAY JOIN evidence, arrayEnumerate(evidence.time) AS number
SETTINGS do_not_merge_across_partitions_select_final = 1;
