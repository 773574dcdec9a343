-- The audit. Rows may be inserted again: a row of the same number is the same. Compare the hashes with aidr audit verify.
CREATE TABLE IF NOT EXISTS {{.Table "audit"}} {{.OnCluster}}
(
    time       DateTime64(9, 'UTC') COMMENT 'Wall clock time of the change',
    seq        UInt64 COMMENT 'Number of the entry, from 1',
    prev       String COMMENT 'SHA-256 of the entry before, which makes the entries a chain',
    who        String COMMENT 'Person, token or rule',
    action     LowCardinality(String) COMMENT 'Change, such as contain, clear, token.revoke, triage.close, refused',
    class      LowCardinality(String) COMMENT 'Kind of thing that changed: state, containment, token, triage, rules, exception, configuration, delivery, access',
    object     String COMMENT 'Id or name of the thing that changed',
    rule_id    LowCardinality(String) COMMENT 'Rule, if the change is about one',
    key        Map(String, String) COMMENT 'Group key of State that was cleared',
    reason     String COMMENT 'Reason that was given',
    tenant     LowCardinality(String) COMMENT 'Tenant of the thing that changed',
    token      String COMMENT 'Id of the token of the request',
    `before`   String COMMENT 'State before the change, as JSON',
    `after`    String COMMENT 'State after the change, as JSON',
    detail     String COMMENT 'Details of the change, as JSON',
    `checkpoint` UInt64 COMMENT 'Checkpoint that made the change durable; 0: it was durable at once'
)
ENGINE = {{.Engine "ReplacingMergeTree"}}
PARTITION BY toYYYYMM(time)
ORDER BY (time, seq)
{{.TTL "time"}}
SETTINGS {{.Deduplicate}}
COMMENT 'Every change of rules, containments, tokens, configuration, triage and State, and every refused request; read v_audit instead';

CREATE OR REPLACE VIEW {{.Table "v_audit"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "audit"}} FINAL;
