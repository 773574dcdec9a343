-- Which facts do the events of each source lack, that rules need? Shares from 0 to 1.
-- days (1): how many days back
-- limit (100): most rows
SELECT source, dataset, sum(q.events) AS number_of_events, round(sum(q.events * share_without_agent) / number_of_events, 3) AS no_agent,
    round(sum(q.events * share_without_session) / number_of_events, 3) AS no_session, round(sum(q.events * share_without_tool) / number_of_events, 3) AS no_tool,
    round(avg(share_without_arguments), 3) AS no_arguments, round(avg(share_without_result), 3) AS no_result,
    round(sum(q.events * share_without_outcome) / number_of_events, 3) AS no_outcome
FROM v_source_quality AS q
WHERE hour >= now() - INTERVAL {days:UInt16} DAY
GROUP BY source, dataset
ORDER BY source, dataset
LIMIT {limit:UInt32}
