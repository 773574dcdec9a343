-- Which credentials are used by several agents?
SELECT tenant, credential_uid, credential_type, mapKeys(agents) AS used_by, reach, events, last_seen
FROM v_credentials
WHERE shared AND last_seen >= now() - INTERVAL {days:UInt16} DAY
ORDER BY length(agents) DESC, reach DESC, credential_uid
LIMIT {limit:UInt32}
