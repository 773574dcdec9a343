-- The ledger of responses: one row for each containment or proposal; of the rows of one id only that with the highest version
-- counts, so rows may be inserted again. The table is not partitioned, because an id has rows of different months.
CREATE TABLE IF NOT EXISTS {{.Table "responses"}} {{.OnCluster}}
(
    id            UUID COMMENT 'Identity of the response',
    version       UInt64 COMMENT 'Version of the containment table after the change; the highest counts',
    key           String COMMENT 'Idempotency key of the request',
    status        Enum8('proposed' = 1, 'active' = 2, 'released' = 3, 'expired' = 4, 'rejected' = 5) COMMENT 'proposed: a person is asked; active: in force until the time in until; the others are final',
    stage         Enum8('asked' = 1, 'enforced' = 2, 'verified' = 3, 'failed' = 4) COMMENT 'Proof of the effect. asked: no gateway has asked; enforced: a gateway got an answer; verified: denials and no further success; failed: calls went on',
    scope         LowCardinality(String) COMMENT 'Kind of the target: agent, session, credential, tool, route, mcp_server, tenant',
    tenant        LowCardinality(String) COMMENT 'Tenant of the target',
    agent_uid     String COMMENT 'Identity of the agent',
    session_id    String COMMENT 'Session',
    credential_uid String COMMENT 'Credential: a key id, or the SHA-256 of the secret',
    tool          LowCardinality(String) COMMENT 'Tool of the agent',
    mcp_server    LowCardinality(String) COMMENT 'MCP server',
    route         String COMMENT 'Route of the agent',
    aliases       Array(String) COMMENT 'Other identities of the agent that are covered',
    credentials   Array(String) COMMENT 'Credentials of the agent that are covered',
    spared        Array(String) COMMENT 'Credentials of the agent that are not covered, because other agents use them too',
    state         Enum8('observe' = 0, 'throttle' = 1, 'hold' = 2, 'deny' = 3) COMMENT 'Strictness, ordered',
    mode          Enum8('monitor' = 0, 'enforce' = 1) COMMENT 'monitor: recorded only',
    per_minute    UInt32 COMMENT 'Calls a minute of a throttle',
    since         DateTime64(9, 'UTC') COMMENT 'Wall clock time of the beginning',
    until         DateTime64(9, 'UTC') COMMENT 'Wall clock time of the end',
    ended         Nullable(DateTime64(9, 'UTC')) COMMENT 'Wall clock time at which it ended, if it has',
    reason        String COMMENT 'Reason that callers are shown',
    why           String COMMENT 'Why a person is asked, or why it ended',
    finding_id    Nullable(UUID) COMMENT 'Finding behind it',
    rule_id       LowCardinality(String) COMMENT 'Rule behind it; empty if a person decided alone',
    requested_by  String COMMENT 'Person, token or rule that asked for it',
    ended_by      String COMMENT 'Person, or aidr, that ended it',
    automatic     Bool COMMENT 'A rule alone decided it',
    denials       UInt64 COMMENT 'Denied calls in the logs since its beginning',
    successes     UInt64 COMMENT 'Successful calls in the logs since its beginning',
    last_denial   Nullable(DateTime64(9, 'UTC')) COMMENT 'Event time of the last denial',
    last_success  Nullable(DateTime64(9, 'UTC')) COMMENT 'Event time of the last success',
    verified_at   Nullable(DateTime64(9, 'UTC')) COMMENT 'Event time at which the effect was proven',
    failed_at     Nullable(DateTime64(9, 'UTC')) COMMENT 'Event time of the last call that should not have passed',
    proof Nested
    (
        source       LowCardinality(String),
        dataset      LowCardinality(String),
        route        String,
        denials      UInt64,
        successes    UInt64
    ),
    receipt Nested
    (
        point        String,
        refused      UInt64,
        allowed      UInt64,
        last         DateTime64(9, 'UTC')
    ),
    history Nested
    (
        time         DateTime64(9, 'UTC'),
        action       LowCardinality(String),
        by           String,
        reason       String
    )
)
ENGINE = {{.Engine "ReplacingMergeTree(version)"}}
ORDER BY id
{{.TTL "since"}}
SETTINGS {{.Deduplicate}}
COMMENT 'Ledger of responses: containments and proposals with their proof; read v_responses instead, which shows each once';

-- CREATE TABLE cannot give comments to the columns of a Nested.
ALTER TABLE {{.Table "responses"}} {{.OnCluster}}
    COMMENT COLUMN IF EXISTS `proof.source` 'Source of the records that show calls of the target',
    COMMENT COLUMN IF EXISTS `proof.dataset` 'Dataset of these records',
    COMMENT COLUMN IF EXISTS `proof.route` 'Route of these calls',
    COMMENT COLUMN IF EXISTS `proof.denials` 'Denied calls on that route',
    COMMENT COLUMN IF EXISTS `proof.successes` 'Successful calls on that route',
    COMMENT COLUMN IF EXISTS `receipt.point` 'Enforcement point that asked',
    COMMENT COLUMN IF EXISTS `receipt.refused` 'Answers to it that refused a call',
    COMMENT COLUMN IF EXISTS `receipt.allowed` 'Answers to it that allowed a call',
    COMMENT COLUMN IF EXISTS `receipt.last` 'Wall clock time of the last answer to it',
    COMMENT COLUMN IF EXISTS `history.time` 'Wall clock time of the step',
    COMMENT COLUMN IF EXISTS `history.action` 'Step: contain, propose, approve, enforced, verified, failed, release, expire ...',
    COMMENT COLUMN IF EXISTS `history.by` 'Person, token or rule',
    COMMENT COLUMN IF EXISTS `history.reason` 'Reason or figures of the step';

CREATE OR REPLACE VIEW {{.Table "v_responses"}} {{.OnCluster}} AS
SELECT * FROM {{.Table "responses"}} FINAL;
