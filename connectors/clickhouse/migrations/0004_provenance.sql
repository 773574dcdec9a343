-- The value that a finding of a provenance is about. Rows from before, and those of other kinds, have empty texts.
ALTER TABLE {{.Table "findings"}} {{.OnCluster}}
    ADD COLUMN IF NOT EXISTS provenance_value String COMMENT 'Value that came out of a result and that the user did not give, redacted; for rules of kind provenance and rules over them',
    ADD COLUMN IF NOT EXISTS provenance_argument String COMMENT 'Top-level key of the arguments of the call that used the value',
    ADD COLUMN IF NOT EXISTS provenance_source LowCardinality(String) COMMENT 'Tool whose result brought the value',
    COMMENT COLUMN IF EXISTS baseline 'History that the value was compared with, as JSON, for baseline, new_value and rarity; empty for all other kinds';

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
    evidence.step AS step,
    evidence.fields AS fields
FROM {{.Table "findings"}} FINAL
ARRAY JOIN evidence, arrayEnumerate(evidence.time) AS number
SETTINGS do_not_merge_across_partitions_select_final = 1;
