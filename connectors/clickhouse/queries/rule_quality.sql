-- How good is each rule: findings, agents, withdrawn ones, and how many are still open?
SELECT rule_id, sum(number) AS findings, max(number_of_agents) AS most_agents_a_day, sum(withdrawn_number) AS withdrawn_findings,
    sum(open_number) AS open_findings, max(day) AS last_day
FROM v_rule_quality
WHERE day >= today() - {days:UInt16}
GROUP BY rule_id
ORDER BY findings DESC, rule_id
LIMIT {limit:UInt32}
