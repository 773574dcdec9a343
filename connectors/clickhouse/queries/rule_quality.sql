-- How good is each rule: findings, agents, withdrawn ones, and how many are still open? What did people think of them?
SELECT rule_id, sum(number) AS findings, max(number_of_agents) AS most_agents_a_day, sum(withdrawn_number) AS withdrawn_findings,
    sum(open_number) AS open_findings, sum(true_positive_number) AS true_positives, sum(false_positive_number) AS false_positives,
    sum(benign_number) AS benign, max(day) AS last_day
FROM v_rule_quality
WHERE day >= today() - {days:UInt16}
GROUP BY rule_id
ORDER BY findings DESC, rule_id
LIMIT {limit:UInt32}
