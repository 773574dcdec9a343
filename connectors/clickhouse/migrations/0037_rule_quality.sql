-- The quality of rules with the verdicts of people. The rule of the canary finds synthetic events, and is none of them.
CREATE OR REPLACE VIEW {{.Table "v_rule_quality"}} {{.OnCluster}} AS
SELECT
    q.*,
    v.acknowledged_number AS acknowledged_number,
    v.closed_number AS closed_number,
    v.true_positive_number AS true_positive_number,
    v.false_positive_number AS false_positive_number,
    v.benign_number AS benign_number,
    v.test_number AS test_number
FROM
(
    SELECT
        f.rule_id AS rule_id,
        toDate(f.group_start) AS day,
        any(f.shadow) AS shadow,
        toString(max(f.severity)) AS severity,
        count() AS number,
        uniqExact(f.tenant, f.agent_uid) AS number_of_agents,
        countIf(f.status = 'withdrawn') AS withdrawn_number,
        countIf(f.status = 'open') AS open_number,
        countIf(f.late) AS late_number,
        sum(f.count) AS number_of_events
    FROM {{.Table "v_findings"}} AS f
    WHERE NOT f.operational AND f.rule_id != 'canary.alive'
    GROUP BY rule_id, day
) AS q
LEFT JOIN {{.Table "v_rule_verdicts"}} AS v ON v.rule_id = q.rule_id AND v.day = q.day;
