-- Which active agents have no owner?
-- days (7): how many days back
-- limit (100): most rows
SELECT tenant, agent_uid, agent_name, registered, mapKeys(users) AS seen_users, mapKeys(on_behalf_of) AS acts_for, events, last_seen
FROM v_agents
WHERE owner = '' AND last_seen >= now() - INTERVAL {days:UInt16} DAY
ORDER BY events DESC, agent_uid
LIMIT {limit:UInt32}
