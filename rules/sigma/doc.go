// Package sigma translates Sigma rules and correlations into rule files. `aidr rules import sigma` is its command, and this
// comment the reference of the translation. Import returns the files and, for each rule that it does not translate, the
// problems with their places, reasons and remedies. A rule is translated as a whole or not at all, and what is written loads
// without errors.
//
// # Logs
//
// A rule's logsource decides its datasets and the places of its fields:
//
//	logsource                            datasets            fields
//	aws, cloudtrail                      aws.cloudtrail      eventSource, errorCode, userAgent, awsRegion and eventID are fields of the
//	                                                         normalised event; all others paths of the record, as Sigma writes them
//	azure, activitylogs                  azure.activity      operationName is event.action; all others are looked for as they are
//	azure, auditlogs                     azure.activity      written, below properties, and with a small and a capital letter at
//	azure, signinlogs                    azure.entra_signin  the start, because diagnostic settings and Log Analytics differ
//	azure, riskdetection                 azure.activity
//	gcp, gcp.audit                       gcp.audit           gcp.audit.method_name and service_name are event.action and
//	                                                         service.target.name; data.protoPayload.x is protoPayload.x
//	gcp, google_workspace.admin, .login  gcp.audit           eventName and eventService
//	okta                                 okta.system         eventType is event.action
//	github, audit                        github.audit        action is event.action
//	kubernetes                           kubernetes.audit    apiGroup, namespace, resource and hostPath are read from their paths
//	m365                                 m365.audit          Operation and Workload are event.action and service.target.name
//	category webserver, category proxy   @gateway            cs-method, cs-host, cs-uri-stem, sc-status, cs-user-agent, c-ip and
//	                                                         the like are fields of the normalised event; c-uri and cs-uri-query
//	                                                         are looked for in the target of the request, path with query, in the
//	                                                         place that each gateway has for it
//
// A field with several places has the values of all of them. A path through a list, which sources lists and which a rule may
// write as a[].b or a{}.b, holds if it does for one of the elements. A path through a list that is not known finds nothing.
//
// # Values
//
// A value of the record is compared as a text: a number and a bool as JSON writes them, a list or a mapping as its JSON with
// the escapes spelled out, as text(x) gives it. Upper and lower case do not matter unless the item is cased. * is any text, ?
// one character; a backslash before *, ? or a backslash makes it plain, and any other one is itself.
//
//	value                      condition
//	abc, abc*, *abc, *abc*     iequals, startsWith and endsWith of the small letters, icontains
//	a*b?c                      matches("(?is)^a.*b.c$")
//	three plain texts or more  in [...], of the small letters
//	''                         == "": present and empty
//	null                       !has(x): absent, or null, which AIDR does not tell apart
//	*                          has(x)
//
// A field of the normalised event is never empty, so ” , null, * and exists read the record instead, from which it was copied.
//
// Modifiers are applied in the order in which they are written. re searches with RE2, which has neither look-arounds nor back
// references. lt, lte, gt and gte compare numbers; on a value that is not a number the condition fails, so that it does not
// hold, below a not either. windash makes all forms of up to four dashes and slashes. fieldref compares with another field that
// is present; contains, startswith and endswith may follow it. minute, hour, day, month and year compare parts of the event's
// time in UTC. neq negates the item, and so holds for an absent field. expand is refused: placeholders need values of the site.
//
// Texts without a field are searched in the keys of the record that hold texts, one by one; a phrase that spans two of them is
// not found.
//
// # Correlations
//
//	event_count       over the rules, threshold with count
//	value_count       over the rules, distinct of the field
//	temporal          over the rules, distinct of rule.id: as many different rules as the condition requires, by default all
//	temporal_ordered  over the rules, a sequence
//
// The window ends with each event, so it is not aligned to hours or days as a query may be. An event that matches two of the
// rules counts twice in an event_count. group-by and aliases become `by`; a field with different places in the rules becomes an
// expression over rule.id. Only gt and gte are translated: a count below a limit is true before any event has come. The rules
// of a correlation must be part of the import. They are blocks, which make no findings, unless a correlation has generate.
//
// # Everything else
//
//	level      severity; informational is info, none is medium
//	status     stable and test: stable; experimental: shadow; deprecated and unsupported: disabled; of a correlation: block
//	id         the tag x.sigma.ID, and the end of the new id, sigma.TITLE-ID
//	tags       attack.x is the known tag, a tactic by its name too; others are x.TAG
//	others     title, description, references and falsepositives are kept; file, line, author and license are a comment
//
// Old syntax is refused: aggregations and near in a condition, timeframe, collections with action. So are Sigma's filters.
package sigma
