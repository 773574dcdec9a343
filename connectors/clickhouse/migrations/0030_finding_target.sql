-- What a finding is about, for joins and filters. Rows from before have empty texts: their evidence has some of them.
ALTER TABLE {{.Table "findings"}} {{.OnCluster}}
    ADD COLUMN IF NOT EXISTS `evidence.source_ip` Array(String) COMMENT 'Address that the call came from',
    ADD COLUMN IF NOT EXISTS `evidence.workflow` Array(String) COMMENT 'Task that the agent was set to',
    ADD COLUMN IF NOT EXISTS credential_uid String COMMENT 'Id or hash of the credential, never the secret: that of the key, else of the last event in the evidence that has one',
    ADD COLUMN IF NOT EXISTS source_ip String COMMENT 'Address that the calls came from: that of the key, else of the last event in the evidence that has one',
    ADD COLUMN IF NOT EXISTS tool LowCardinality(String) COMMENT 'Tool: that of the key, else of the last event in the evidence that has one',
    ADD COLUMN IF NOT EXISTS target String COMMENT 'Host and path of the URL, or the service, of the last event in the evidence that has one; else the host of the key',
    ADD COLUMN IF NOT EXISTS workflow LowCardinality(String) COMMENT 'Task that the agent was set to: that of the key, else of the last event in the evidence that has one';

-- A view has the columns of its creation, so the views are replaced.
CREATE OR REPLACE VIEW {{.Table "v_findings"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "findings"}} FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE OR REPLACE VIEW {{.Table "v_open_findings"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "findings"}} FINAL
WHERE status != 'withdrawn' AND NOT shadow
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE OR REPLACE VIEW {{.Table "v_finding_events"}} {{.OnCluster}} AS
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
    provenance_value,
    provenance_argument,
    provenance_source,
    baseline,
    number,
    evidence.event_id AS event_id,
    evidence.identity AS identity,
    evidence.time AS time,
    evidence.topic AS topic,
    evidence.partition AS partition,
    evidence.offset AS offset,
    evidence.index AS index,
    evidence.dataset AS dataset,
    evidence.class AS class,
    evidence.action AS action,
    evidence.tool AS tool,
    evidence.tool_server AS tool_server,
    evidence.target AS target,
    evidence.resource AS resource,
    evidence.outcome AS outcome,
    evidence.credential_uid AS credential_uid,
    evidence.source_ip AS source_ip,
    evidence.workflow AS workflow,
    evidence.step AS step,
    evidence.fields AS fields
FROM {{.Table "findings"}} FINAL
ARRAY JOIN evidence, arrayEnumerate(evidence.time) AS number
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE OR REPLACE VIEW {{.Table "v_agent_risk"}} {{.OnCluster}} AS
SELECT
    t.tenant AS tenant,
    t.agent_uid AS agent_uid,
    toString(max(t.severity)) AS severity,
    countIf(t.severity = 'critical') AS critical_number,
    countIf(t.severity = 'high') AS high_number,
    countIf(t.severity = 'medium') AS medium_number,
    countIf(t.severity <= 'low') AS low_number,
    count() AS number,
    uniqExact(t.rule_id) AS number_of_rules,
    min(t.first_seen) AS first_seen,
    max(t.last_seen) AS last_seen
FROM {{.Table "v_open_findings"}} AS t
WHERE t.agent_uid != '' AND NOT t.operational
GROUP BY tenant, agent_uid;
