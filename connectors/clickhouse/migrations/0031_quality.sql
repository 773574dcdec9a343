-- How rules and sources fare, the rules themselves, deliveries, dead letters, and the archive of events. Rows hold absolute values
-- and may be inserted again: of the rows with one key that of the highest checkpoint counts, and rows that come again are equal.

CREATE TABLE IF NOT EXISTS {{.Table "rule_stats_1m"}} {{.OnCluster}}
(
    rule_id   LowCardinality(String) COMMENT 'Rule',
    minute    DateTime('UTC') COMMENT 'Beginning of the minute, event time. What comes after its minute is over is counted in the minute that the watermark has reached',
    part      UInt8 COMMENT 'Range of hashes that the row comes from',
    matched   UInt64 COMMENT 'Events on which the condition held',
    triggers  UInt64 COMMENT 'Triggers of the rule that can no longer be taken back, in the minute of the watermark at which they became so',
    findings  UInt64 COMMENT 'Findings that were opened',
    withdrawn UInt64 COMMENT 'Findings that were withdrawn',
    excepted  UInt64 COMMENT 'Events that an exception matched',
    held      UInt64 COMMENT 'Changes of findings that the flood guard held back',
    late      UInt64 COMMENT 'Matched events that came late',
    unkeyed   UInt64 COMMENT 'Matched events that lack a field of by or of, and were not counted',
    errors    UInt64 COMMENT 'Events on which the condition could not be evaluated',
    pos       UInt64 COMMENT 'Number of the checkpoint that made the row; the highest one counts'
)
ENGINE = {{.Engine "ReplacingMergeTree(pos)"}}
PARTITION BY toYYYYMM(minute)
ORDER BY (rule_id, minute, part)
{{.TTL "minute"}}
COMMENT 'Events, triggers, findings and errors of each rule in each minute; read v_rule_stats_1m instead';

CREATE TABLE IF NOT EXISTS {{.Table "source_quality_1h"}} {{.OnCluster}}
(
    source           LowCardinality(String) COMMENT 'Source of the configuration',
    dataset          LowCardinality(String) COMMENT 'Dataset: the kind of log',
    hour             DateTime('UTC') COMMENT 'Beginning of the hour, event time. What comes after its hour is over is counted in the hour that the watermark has reached',
    part             UInt8 COMMENT 'Range of hashes that the row comes from',
    events           UInt64 COMMENT 'Number of events',
    without_agent    UInt64 COMMENT 'Events without an identity of the agent',
    without_session  UInt64 COMMENT 'Events without a session',
    without_tool     UInt64 COMMENT 'Events without the name of a tool',
    calls            UInt64 COMMENT 'Events that a call was made in, which should carry its arguments',
    without_arguments UInt64 COMMENT 'Calls without arguments',
    results          UInt64 COMMENT 'Events that a result came back in, which should carry it',
    without_result   UInt64 COMMENT 'Results that are missing',
    without_outcome  UInt64 COMMENT 'Events without an outcome, or with an unknown one',
    pos              UInt64 COMMENT 'Number of the checkpoint that made the row; the highest one counts'
)
ENGINE = {{.Engine "ReplacingMergeTree(pos)"}}
PARTITION BY toYYYYMM(hour)
ORDER BY (source, dataset, hour, part)
{{.TTL "hour"}}
COMMENT 'Facts that the events of each source lack, by hour, as aidr formats coverage counts them; read v_source_quality instead';

CREATE TABLE IF NOT EXISTS {{.Table "rules"}} {{.OnCluster}}
(
    rule_id      LowCardinality(String) COMMENT 'Rule',
    version      Int32 COMMENT 'Version of the rule',
    title        String COMMENT 'Title of the rule',
    description  String COMMENT 'Description of the rule',
    why          String COMMENT 'Why the behaviour matters',
    what_to_do   Array(String) COMMENT 'Steps for a person who looks at a finding, in order',
    false_positives Array(String) COMMENT 'Harmless causes of its findings',
    references   Array(String) COMMENT 'Links to more about it',
    kind         LowCardinality(String) COMMENT 'Stateful clause: threshold, distinct, new_value, sequence ...; empty if the rule has no such clause',
    stage        LowCardinality(String) COMMENT 'stable, shadow, block, draft or disabled',
    severity     LowCardinality(String) COMMENT 'info, low, medium, high or critical',
    confidence   UInt8 COMMENT 'Confidence, 0 to 100',
    tags         Array(LowCardinality(String)) COMMENT 'OWASP, MITRE ATLAS and ATT&CK ids, and names of your own',
    datasets     Array(LowCardinality(String)) COMMENT 'Datasets that it reads; empty: any',
    file         String COMMENT 'File that the rule is in',
    since        DateTime64(9, 'UTC') COMMENT 'Wall clock time of the start or reload that brought the row; the latest counts'
)
ENGINE = {{.Engine "ReplacingMergeTree(since)"}}
ORDER BY rule_id
COMMENT 'The rules as they run, to join findings with; read v_rules instead, which shows each once';

CREATE TABLE IF NOT EXISTS {{.Table "deliveries"}} {{.OnCluster}}
(
    endpoint    LowCardinality(String) COMMENT 'Endpoint of the configuration',
    time        DateTime64(9, 'UTC') COMMENT 'Wall clock time at which the attempt began',
    webhook_id  String COMMENT 'Header webhook-id: the same for all attempts of one delivery',
    attempt     UInt32 COMMENT 'Number of the attempt, from 1',
    type        LowCardinality(String) COMMENT 'Type of the delivery, such as finding.opened',
    id          UUID COMMENT 'Finding, response or approval that it is about',
    version     UInt64 COMMENT 'Revision of the finding, or version of the response',
    status      LowCardinality(String) COMMENT 'Status of HTTP, or why there was no answer',
    delivered   Bool COMMENT 'Whether the endpoint accepted it',
    latency     Float64 COMMENT 'Time until the answer, in seconds',
    error       String COMMENT 'Why it was not accepted'
)
ENGINE = {{.Engine "ReplacingMergeTree"}}
PARTITION BY toYYYYMM(time)
ORDER BY (endpoint, time, webhook_id, attempt)
{{.TTL "time"}}
COMMENT 'Every attempt to deliver to an endpoint; read v_deliveries instead';

CREATE TABLE IF NOT EXISTS {{.Table "dead_letters"}} {{.OnCluster}}
(
    time         DateTime64(9, 'UTC') COMMENT 'Wall clock time at which it was given up',
    seq          UInt64 COMMENT 'Number of the dead letter, for aidr dlq show and replay',
    kind         LowCardinality(String) COMMENT 'record: it could not be decoded; row: ClickHouse refused it; delivery: an endpoint did',
    reason       LowCardinality(String) COMMENT 'Short, stable reason',
    detail       String COMMENT 'Reason for people',
    source       LowCardinality(String) COMMENT 'Source of the record',
    topic        LowCardinality(String) COMMENT 'Kafka topic or file',
    `partition`  Int32 COMMENT 'Kafka partition',
    `offset`     Int64 COMMENT 'Kafka offset, or byte offset in the file',
    `index`      Int64 COMMENT 'Number of the element within the record, from 0',
    sink         LowCardinality(String) COMMENT 'Sink of the row or delivery',
    type         LowCardinality(String) COMMENT 'Type of the delivery, such as finding.opened',
    attempts     UInt32 COMMENT 'Number of attempts',
    omitted      UInt64 COMMENT 'Bytes of a body that is not kept',
    body         String COMMENT 'The record, or the finding as JSON, redacted; cut at 64 KiB'
)
ENGINE = {{.Engine "ReplacingMergeTree"}}
PARTITION BY toYYYYMM(time)
ORDER BY (kind, time, seq)
{{.TTL "time"}}
COMMENT 'Records, rows and deliveries that were given up; read v_dead_letters instead';

CREATE TABLE IF NOT EXISTS {{.Table "events"}} {{.OnCluster}}
(
    dataset        LowCardinality(String) COMMENT 'Dataset: the kind of log' CODEC(ZSTD(1)),
    agent_uid      String COMMENT 'Identity of the agent' CODEC(ZSTD(1)),
    time           DateTime64(9, 'UTC') COMMENT 'Time at which the event ended, event time' CODEC(Delta, ZSTD(1)),
    source         LowCardinality(String) COMMENT 'Source of the configuration' CODEC(ZSTD(1)),
    topic          LowCardinality(String) COMMENT 'Kafka topic or file' CODEC(ZSTD(1)),
    `partition`    Int32 COMMENT 'Kafka partition' CODEC(ZSTD(1)),
    `offset`       Int64 COMMENT 'Kafka offset, or byte offset in the file' CODEC(Delta, ZSTD(1)),
    `index`        Int64 COMMENT 'Number of the element within the record, from 0' CODEC(ZSTD(1)),
    number         UInt32 COMMENT 'Number of the event within the record, from 0: one element may be several events' CODEC(ZSTD(1)),
    tenant         LowCardinality(String) COMMENT 'Tenant that the agent belongs to' CODEC(ZSTD(1)),
    session_id     String COMMENT 'Session of the agent' CODEC(ZSTD(1)),
    class          LowCardinality(String) COMMENT 'Kind of activity: api, http, llm, tool, auth, audit or guardrail' CODEC(ZSTD(1)),
    action         LowCardinality(String) COMMENT 'Action of the event' CODEC(ZSTD(1)),
    outcome        LowCardinality(String) COMMENT 'Outcome of the action' CODEC(ZSTD(1)),
    credential_uid String COMMENT 'Id or hash of the credential; never the secret' CODEC(ZSTD(1)),
    tool           LowCardinality(String) COMMENT 'Tool that was called' CODEC(ZSTD(1)),
    rules          Array(LowCardinality(String)) COMMENT 'Rules whose condition held' CODEC(ZSTD(1)),
    fields         Map(LowCardinality(String), String) COMMENT 'All other fields, redacted as in evidence: texts as they are, other values as JSON' CODEC(ZSTD(3)),
    pos            UInt64 COMMENT 'Number of the checkpoint that holds the event' CODEC(Delta, ZSTD(1)),
    archived_at    DateTime('UTC') DEFAULT now() COMMENT 'Wall clock time at which the row was written; rows are kept from then on' CODEC(Delta, ZSTD(1))
)
ENGINE = {{.Engine "ReplacingMergeTree(pos)"}}
PARTITION BY toYYYYMMDD(time)
ORDER BY (dataset, agent_uid, time, source, topic, `partition`, `offset`, number)
{{.EventsTTL}}
SETTINGS {{.Deduplicate}}
COMMENT 'Archive of events, if sinks.clickhouse.events is matched or all; read v_events instead';

CREATE OR REPLACE VIEW {{.Table "v_rule_stats_1m"}} {{.OnCluster}} AS
SELECT
    t.rule_id AS rule_id,
    t.minute AS minute,
    sum(t.matched) AS matched,
    sum(t.triggers) AS triggers,
    sum(t.findings) AS findings,
    sum(t.withdrawn) AS withdrawn,
    sum(t.excepted) AS excepted,
    sum(t.held) AS held,
    sum(t.late) AS late,
    sum(t.unkeyed) AS unkeyed,
    sum(t.errors) AS errors
FROM {{.Table "rule_stats_1m"}} AS t FINAL
GROUP BY rule_id, minute;

CREATE OR REPLACE VIEW {{.Table "v_source_quality"}} {{.OnCluster}} AS
SELECT
    t.source AS source,
    t.dataset AS dataset,
    t.hour AS hour,
    sum(t.events) AS events,
    sum(t.without_agent) / events AS share_without_agent,
    sum(t.without_session) / events AS share_without_session,
    sum(t.without_tool) / events AS share_without_tool,
    if(sum(t.calls) = 0, NULL, sum(t.without_arguments) / sum(t.calls)) AS share_without_arguments,
    if(sum(t.results) = 0, NULL, sum(t.without_result) / sum(t.results)) AS share_without_result,
    sum(t.without_outcome) / events AS share_without_outcome
FROM {{.Table "source_quality_1h"}} AS t FINAL
GROUP BY source, dataset, hour;

CREATE OR REPLACE VIEW {{.Table "v_rules"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "rules"}} FINAL;

CREATE OR REPLACE VIEW {{.Table "v_deliveries"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "deliveries"}} FINAL;

CREATE OR REPLACE VIEW {{.Table "v_dead_letters"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "dead_letters"}} FINAL;

CREATE OR REPLACE VIEW {{.Table "v_events"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "events"}} FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;
