-- Every finding; the row with the highest revision is the one that counts, so nothing is wrong whatever is sent again.
-- Partitions by group_start, which never changes for an id; kept by detected_at, so that findings from old logs stay.
CREATE TABLE IF NOT EXISTS {{.Table "findings"}} {{.OnCluster}}
(
    id               UUID COMMENT 'Stable identity: the same rule, version, key and group give the same id, whenever and wherever it is found',
    revision         UInt64 COMMENT 'Grows by one per change of the finding; the highest counts',
    status           Enum8('open' = 1, 'settled' = 2, 'withdrawn' = 3) COMMENT 'open: may still change; settled: its group is over; withdrawn: a straggler showed it wrong. Not a verdict',
    rule_id          LowCardinality(String) COMMENT 'The rule that found it',
    rule_version     Int32 COMMENT 'The version of the rule',
    kind             LowCardinality(String) COMMENT 'The stateful clause of the rule: threshold, distinct, new_value, sequence ...; empty for none',
    title            String COMMENT 'The title of the rule',
    severity         Enum8('info' = 1, 'low' = 2, 'medium' = 3, 'high' = 4, 'critical' = 5) COMMENT 'How bad it is; ordered, so severity >= ''high'' works',
    confidence       UInt8 COMMENT 'How sure the rule is, 0 to 100',
    tags             Array(LowCardinality(String)) COMMENT 'OWASP, MITRE ATLAS and ATT&CK ids, and names of your own',
    shadow           Bool COMMENT 'Of a rule on probation: stored, never delivered',
    tenant           LowCardinality(String) COMMENT 'Whose agent',
    agent_uid        String COMMENT 'Which agent',
    agent_name       String COMMENT 'Its name, where the log has one',
    agent_uid_source LowCardinality(String) COMMENT 'Which field told who the agent is',
    session_id       String COMMENT 'The session of the agent',
    key              Map(LowCardinality(String), String) COMMENT 'The fields that the rule groups by, and their values',
    group_start      DateTime64(9, 'UTC') COMMENT 'Event time of the trigger that opened the group; never changes for an id',
    first_seen       DateTime64(9, 'UTC') COMMENT 'Event time of the first event behind it',
    last_seen        DateTime64(9, 'UTC') COMMENT 'Event time of the last trigger',
    detected_at      DateTime64(9, 'UTC') COMMENT 'Wall clock when it was first found',
    count            Int64 COMMENT 'How many events it stands on',
    value            Nullable(Decimal(38, 9)) COMMENT 'The highest value that a trigger saw (the lowest for rarity); values beyond 29 digits are cut to the limit',
    threshold        Nullable(Decimal(38, 9)) COMMENT 'What was crossed',
    baseline         String COMMENT 'Mean, spread and samples as JSON, for kinds with a history; empty for the others',
    late             Bool COMMENT 'Its event came later than its dataset allows: found alone, outside of its group',
    warming_until    Nullable(DateTime64(9, 'UTC')) COMMENT 'The state of the rule was incomplete until then: earlier events may be missing',
    explanation      String COMMENT 'One sentence that says what happened',
    reasons          Array(String) COMMENT 'The parts of the condition and the steps that matched',
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
COMMENT 'Every finding with its evidence; read it through v_findings, which shows each one once';

-- Comments of nested columns cannot be said above.
ALTER TABLE {{.Table "findings"}} {{.OnCluster}}
    COMMENT COLUMN IF EXISTS `evidence.event_id` 'The id that the producer gave the event (the first 3 and last 5 events are kept)',
    COMMENT COLUMN IF EXISTS `evidence.identity` 'The identity of the event: a hash of its record or id',
    COMMENT COLUMN IF EXISTS `evidence.time` 'When it was over, event time',
    COMMENT COLUMN IF EXISTS `evidence.topic` 'Kafka topic or file',
    COMMENT COLUMN IF EXISTS `evidence.partition` 'Kafka partition',
    COMMENT COLUMN IF EXISTS `evidence.offset` 'Kafka offset, or byte offset in the file',
    COMMENT COLUMN IF EXISTS `evidence.index` 'Its place in the record, from 0',
    COMMENT COLUMN IF EXISTS `evidence.dataset` 'Which kind of log',
    COMMENT COLUMN IF EXISTS `evidence.action` 'What was done',
    COMMENT COLUMN IF EXISTS `evidence.resource` 'To what',
    COMMENT COLUMN IF EXISTS `evidence.outcome` 'How it ended',
    COMMENT COLUMN IF EXISTS `evidence.step` 'Which step of a sequence it was',
    COMMENT COLUMN IF EXISTS `evidence.fields` 'The fields that the rule mentions: texts as they are, other values as JSON',
    COMMENT COLUMN IF EXISTS `response.action` 'What the rule asks for: notify or contain',
    COMMENT COLUMN IF EXISTS `response.target` 'The endpoint, or the scope of containment',
    COMMENT COLUMN IF EXISTS `response.state` 'The state of containment asked for',
    COMMENT COLUMN IF EXISTS `response.mode` 'monitor or enforce',
    COMMENT COLUMN IF EXISTS `response.ttl` 'How long',
    COMMENT COLUMN IF EXISTS `response.result` 'What became of it';

-- Filter it with WHERE, never PREWHERE: that sees rows that are replaced.
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
