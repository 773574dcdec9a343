-- How good is each rule: events, findings, agents, withdrawn findings, verdicts of people, and errors?
-- days (30): how many days back
-- limit (1000): most rows
SELECT q.rule_id AS rule_id, any(r.title) AS title, sum(q.matched) AS matched_events, sum(q.number) AS findings,
    max(q.number_of_agents) AS most_agents_a_day, sum(q.withdrawn_number) AS withdrawn_findings, sum(q.open_number) AS open_findings,
    sum(q.true_positive_number) AS true_positives, sum(q.false_positive_number) AS false_positives, sum(q.benign_number) AS benign,
    sum(q.excepted) AS excepted_events, sum(q.errors) AS failed_events, max(q.day) AS last_day
FROM v_rule_quality AS q
LEFT JOIN v_rules AS r ON r.rule_id = q.rule_id
WHERE q.day >= today() - {days:UInt16}
GROUP BY rule_id
ORDER BY findings DESC, rule_id
LIMIT {limit:UInt32}
