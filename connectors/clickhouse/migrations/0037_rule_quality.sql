-- The number of findings, what the engine counted of the rule on that day, and the verdicts of people. The canary is left out:
-- its events are synthetic.
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
        p.rule_id AS rule_id,
        p.day AS day,
        max(p.is_shadow) AS shadow,
        argMax(p.severity_name, p.finding_rows) AS severity,
        sum(p.finding_rows) AS number,
        sum(p.agent_rows) AS number_of_agents,
        sum(p.withdrawn_rows) AS withdrawn_number,
        sum(p.open_rows) AS open_number,
        sum(p.late_rows) AS late_number,
        sum(p.event_rows) AS number_of_events,
        sum(p.stat_matched) AS matched,
        sum(p.stat_triggers) AS triggers,
        sum(p.stat_excepted) AS excepted,
        sum(p.stat_held) AS held,
        sum(p.stat_unkeyed) AS unkeyed,
        sum(p.stat_errors) AS errors
    FROM
    (
        SELECT
            f.rule_id AS rule_id,
            toDate(f.group_start) AS day,
            any(f.shadow) AS is_shadow,
            toString(max(f.severity)) AS severity_name,
            count() AS finding_rows,
            uniqExact(f.tenant, f.agent_uid) AS agent_rows,
            countIf(f.status = 'withdrawn') AS withdrawn_rows,
            countIf(f.status = 'open') AS open_rows,
            countIf(f.late) AS late_rows,
            toUInt64(sum(f.count)) AS event_rows,
            toUInt64(0) AS stat_matched,
            toUInt64(0) AS stat_triggers,
            toUInt64(0) AS stat_excepted,
            toUInt64(0) AS stat_held,
            toUInt64(0) AS stat_unkeyed,
            toUInt64(0) AS stat_errors
        FROM {{.Table "v_findings"}} AS f
        WHERE NOT f.operational AND f.rule_id != 'canary.alive'
        GROUP BY rule_id, day
        UNION ALL
        SELECT
            s.rule_id AS rule_id,
            toDate(s.minute) AS day,
            false AS is_shadow,
            '' AS severity_name,
            toUInt64(0) AS finding_rows,
            toUInt64(0) AS agent_rows,
            toUInt64(0) AS withdrawn_rows,
            toUInt64(0) AS open_rows,
            toUInt64(0) AS late_rows,
            toUInt64(0) AS event_rows,
            sum(s.matched) AS stat_matched,
            sum(s.triggers) AS stat_triggers,
            sum(s.excepted) AS stat_excepted,
            sum(s.held) AS stat_held,
            sum(s.unkeyed) AS stat_unkeyed,
            sum(s.errors) AS stat_errors
        FROM {{.Table "v_rule_stats_1m"}} AS s
        WHERE s.rule_id != 'canary.alive'
        GROUP BY rule_id, day
    ) AS p
    GROUP BY p.rule_id, p.day
) AS q
LEFT JOIN {{.Table "v_rule_verdicts"}} AS v ON v.rule_id = q.rule_id AND v.day = q.day;
