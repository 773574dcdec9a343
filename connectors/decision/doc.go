// Package decision answers gateways that ask whether a call may pass. It looks the call up in the containment table; no rule
// runs on this path.
//
//	POST /v1/decision                         a schema.Question as JSON -> a schema.Decision
//	GET  /v1/decision?agent=&tool=...         the same, without secrets, because URLs are logged
//	ANY  /v1/ext_authz/...                    Envoy's HTTP ext_authz, NGINX's auth_request, and the like
//	gRPC envoy.service.auth.v3.Authorization  Envoy's gRPC ext_authz, on a listener of its own
//	POST /beta/litellm_basic_guardrail_api    LiteLLM's generic guardrail API
//	GET  /v1/snapshot                         the table and its changes as server-sent events, for aidr decide
//	POST /v1/receipts                         the answers that aidr decide has given
//	GET  /v1/openapi.json                     this list for programs
//	GET  /healthz                             without authentication
//
// # Who asks
//
// Every enforcement point authenticates with its token, as Authorization: Bearer or X-API-Key, or with a client
// certificate whose common name is that of the point. A point without both is accepted from loopback only, on a listener that
// is bound to loopback.
//
// The principal of a call is what the point attests: the fields of a question, or the header, the claim of a verified token or
// the peer certificate that Point.Agent names. A gateway must remove such a header from the requests of agents before it sets
// its own. Ids that an agent declares are never asked for. Credentials are hashed as soon as they are read.
//
// # What an answer means
//
// HTTP answers of /v1/decision have the status 200 whatever the verdict. The other interfaces refuse with 403, and with 429 for
// a throttle. If the table may lack containments, the verdict is unknown, and Point.Unknown decides. Each answer carries the
// version of the table and its age, so that a gateway can decide what an old answer is worth to it.
//
// # How fast
//
// One core answers 50,000 questions a second over keep-alive connections (TestDecisionSpeed of cmd/aidr). While the engine works
// as fast as it can on two cores, as after an outage, half of the answers of aidr run take 1 ms and 99 % of them up to 30 to 150 ms,
// because the collector stops the process now and then; those of an aidr decide beside it, which has a process of its own,
// take 4 to 10 ms (TestDecisionSpeedUnderLoad, on a machine with other work). An aidr decide also answers through restarts.
//
// A process that is a standby answers 503, because its table is not current.
package decision
