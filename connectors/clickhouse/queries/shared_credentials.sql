-- Which credentials are used by several agents?
-- days (7): how many days back
-- limit (100): most rows
SELECT tenant, credential_uid, credential_type, mapKeys(agents) AS used_by, reach, events, last_seen
FROM v_credentials
WHERE shared AND last_seen >= now() - INTERVAL {days:UInt16} DAY
ORDER BY length(agents) DESC, reach DESC, credential_uid
LIMIT {limit:UInt32}
