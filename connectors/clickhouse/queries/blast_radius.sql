-- What does one credential reach, through which agents, and since when? For an incident with a leaked key.
-- credential (required): id or hash of the credential
-- limit (1000): most rows
SELECT
    substring(use, 1, position(use, '/') - 1) AS kind,
    substring(use, position(use, '/') + 1) AS value,
    seen AS first_seen
FROM v_credentials
ARRAY JOIN mapKeys(first_uses) AS use, mapValues(first_uses) AS seen
WHERE credential_uid = {credential:String}
ORDER BY kind, first_seen, value
LIMIT {limit:UInt32}
