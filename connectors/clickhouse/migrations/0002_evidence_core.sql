-- What evidence shows of every event, whatever the rule. In rows from before, the new arrays are as long as the others and
-- hold empty texts.
ALTER TABLE {{.Table "findings"}} {{.OnCluster}}
    ADD COLUMN IF NOT EXISTS `evidence.class` Array(LowCardinality(String)) COMMENT 'Kind of activity: api, http, llm, tool, auth, audit or guardrail',
    ADD COLUMN IF NOT EXISTS `evidence.tool` Array(LowCardinality(String)) COMMENT 'Tool that was called',
    ADD COLUMN IF NOT EXISTS `evidence.tool_server` Array(LowCardinality(String)) COMMENT 'Server of the tool',
    ADD COLUMN IF NOT EXISTS `evidence.target` Array(String) COMMENT 'Host and path of the URL, else the service that was called',
    ADD COLUMN IF NOT EXISTS `evidence.credential_uid` Array(String) COMMENT 'Id or hash of the credential; never the secret';

-- A view has the columns of its creation, so the views are replaced.
CREATE OR REPLACE VIEW {{.Table "v_findings"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "findings"}} FINAL
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
    evidence.step AS step,
    evidence.fields AS fields
FROM {{.Table "findings"}} FINAL
ARRAY JOIN evidence, arrayEnumerate(evidence.time) AS number
SETTINGS do_not_merge_across_partitions_select_final = 1;
