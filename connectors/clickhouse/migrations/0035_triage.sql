-- The work of people on findings. Of the rows of one finding only that with the highest version counts, so rows may be inserted
-- again.
CREATE TABLE IF NOT EXISTS {{.Table "triage"}} {{.OnCluster}}
(
    finding_id  UUID COMMENT 'Finding that people look at',
    version     UInt64 COMMENT 'Number of the change; the highest counts',
    status      Enum8('new' = 0, 'acknowledged' = 1, 'closed' = 2) COMMENT 'new: nobody works on it; acknowledged: somebody does; closed: it has a verdict',
    verdict     Enum8('' = 0, 'true_positive' = 1, 'false_positive' = 2, 'benign' = 3, 'test' = 4) COMMENT 'Judgement of a closed finding; empty if it is not closed',
    owner       String COMMENT 'Person or team that works on it',
    note        String COMMENT 'Latest note',
    by          String COMMENT 'Person or token of the latest change',
    time        DateTime64(9, 'UTC') COMMENT 'Wall clock time of the latest change',
    rule_id     LowCardinality(String) COMMENT 'Rule of the finding',
    tenant      LowCardinality(String) COMMENT 'Tenant of the finding',
    agent_uid   String COMMENT 'Identity of the agent of the finding',
    group_start DateTime64(9, 'UTC') COMMENT 'Event time of the beginning of the finding''s group',
    revision    UInt64 COMMENT 'Revision of the finding when it was acknowledged or closed',
    count       Int64 COMMENT 'Count of the finding when it was acknowledged or closed; if it grows afterwards, the finding needs another look',
    history Nested
    (
        time    DateTime64(9, 'UTC'),
        action  LowCardinality(String),
        by      String,
        status  LowCardinality(String),
        verdict LowCardinality(String),
        owner   String,
        note    String
    )
)
ENGINE = {{.Engine "ReplacingMergeTree(version)"}}
ORDER BY finding_id
{{.TTL "time"}}
SETTINGS {{.Deduplicate}}
COMMENT 'Work of people on findings: status, verdict, owner, notes; read v_triage instead, which shows each finding once';

-- CREATE TABLE cannot give comments to the columns of a Nested.
ALTER TABLE {{.Table "triage"}} {{.OnCluster}}
    COMMENT COLUMN IF EXISTS `history.time` 'Wall clock time of the step',
    COMMENT COLUMN IF EXISTS `history.action` 'Step: ack, close, assign, reopen, note',
    COMMENT COLUMN IF EXISTS `history.by` 'Person or token',
    COMMENT COLUMN IF EXISTS `history.status` 'Status after the step',
    COMMENT COLUMN IF EXISTS `history.verdict` 'Verdict after the step',
    COMMENT COLUMN IF EXISTS `history.owner` 'Owner after the step',
    COMMENT COLUMN IF EXISTS `history.note` 'Note of the step';

CREATE OR REPLACE VIEW {{.Table "v_triage"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "triage"}} FINAL;

-- What people think of each rule. Days are those of v_rule_quality: of the beginning of the finding's group.
CREATE OR REPLACE VIEW {{.Table "v_rule_verdicts"}} {{.OnCluster}} AS
SELECT
    t.rule_id AS rule_id,
    toDate(t.group_start) AS day,
    countIf(t.status = 'acknowledged') AS acknowledged_number,
    countIf(t.status = 'closed') AS closed_number,
    countIf(t.verdict = 'true_positive') AS true_positive_number,
    countIf(t.verdict = 'false_positive') AS false_positive_number,
    countIf(t.verdict = 'benign') AS benign_number,
    countIf(t.verdict = 'test') AS test_number
FROM {{.Table "triage"}} AS t FINAL
GROUP BY rule_id, day;
