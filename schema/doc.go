// Package schema defines the two records that everything else is about: the normalised event, which every log record
// becomes, and the finding, which a rule makes of events.
//
// # The event
//
// An Event is a fixed array of typed field slots, addressed by Field: there is one slot for each row of field.tsv, the
// table from which field.go and FIELDS.md are generated. A slot holds a Value of one of seven types: text, int, double,
// bool, timestamp, list of texts, or dyn, which is text or any other JSON value. Names follow ECS and OpenTelemetry where
// these two agree, OpenTelemetry for gen_ai.* and mcp.*, and OCSF for the agent (ai_agent.*) and for the texts of a
// conversation (message_context.*). Durations are nanoseconds, sizes are bytes, and times are UTC.
//
// Absent means absent. A field that a record does not have is not present, which differs from "" and from 0: rules test
// for presence, and no reader stores "", "-", "unknown" or null for a missing value. The exceptions are the enumerations
// event.outcome and user.type, in which "unknown" is a value. Set and SetText therefore clear a field that is set to an
// absent value or to "".
//
// A worker fills one Event again and again, so that reading a record does not allocate. An event, and every text in it,
// is valid until the next Reset; whatever has to outlive it is copied. Only the fields and the raw paths in Wanted, which
// are those that the rules mention, have to be extracted.
//
// # Time
//
// The field time is the start of the activity. The engine orders events by Event.End, the instant at which the activity
// was over: time + event.duration, a negative duration counting as 0. Logs of calls are written when the call ends, so
// ordering by the start would make a call of 30 seconds 30 seconds late. Instant has the arithmetic of event times; it
// saturates, because a hostile log may contain any time. DefaultDelay is the time that a record may need from the end of
// its activity to its partition: 30 seconds for gateways, and 20 minutes for cloud audit trails, which are delivered in
// files.
//
// # Identity of an event
//
// The identity of an event is the first 128 bits of SHA-256 over the dataset, a byte 0x00, the letter i or r, the place
// of the event as a big-endian uint32, and then the producer's id (after i) or the bytes of the record (after r). The
// place numbers the events of one element from 0. The bytes of the record are those of its innermost element: an element
// of an array or of Records, or a line without its line end. Kafka and a file therefore give one record one identity,
// however it was batched.
//
// An identity depends on nothing but the record and the tenant that it belongs to. An offset, the order of arrival, a
// random number or a seeded hash would change from one run to the next, and with it the order of events of one instant.
// The identity under a tenant is a hash of that tenant and of the identity without it.
//
// Two events of one instant that share an identity based on a producer's id are counted once (Event.Counted), however
// often the producer or Kafka delivered them. Without such an id two equal lines may be two activities, and are never
// merged. An id that callers choose, such as a request id or a trace id, is therefore never stored in event.id: a caller
// could hide its own calls with it.
//
// # Agents
//
// The field ai_agent.uid is the stable id of the agent, and the key of most rules. It is found by a ladder, whose first
// rung with a value wins; ai_agent.uid_source names the raw field of that rung:
//
//  1. the expression that the configuration has for the dataset,
//  2. an authenticated principal: a key's hash, a gateway's consumer, a role, a service account, an account,
//  3. an agent id that the caller declares in a header, in metadata or in its own telemetry,
//  4. a service,
//  5. a person,
//  6. the address and the user agent, which is too weak a key for a long baseline.
//
// The reader of each format lists the raw fields of its rungs. A principal that all callers share, such as
// ANONYMOUS_PRINCIPAL, is not a rung, and neither is a user agent without an address. An alias in the registry of
// agents then replaces the id, so that one agent has one id in all logs.
//
// A caller cannot choose its id: if a record has both a principal and a declared id, the declared one becomes
// ai_agent.declared_uid. It refines the id, as principal/declared, only if the registry lists it under that principal, or if
// the source has trust_declared because its producer checks such ids. Otherwise a caller could act under another agent's
// id, or spread its calls over many. Ids of sessions and runs go to ai_agent.instance_uid and session.id, never into
// the agent's id: a key that changes with each run never gets a history.
//
// # Reading records
//
// Decoding keeps no memory from one record to the next, so an event does not depend on partitions, order or restarts. A
// request to a model repeats the history of its conversation; the new part follows the last message of the assistant,
// so it can be found in the record alone. Such a record gives an llm event, a tool_result event for each new result, at the
// start of the request, and a tool_call event for each call that the model asked for, at the end of the llm event. Usage
// and cost are on the llm event only.
//
// The field event.class is the kind of activity: api or http for a call, llm for a model, tool for a tool, auth for a
// sign-in, audit for a change that a platform recorded, guardrail for a verdict. The field event.action is the
// operation in the producer's own words: tool_call, tools/call, execute_tool, tool_result. Rules do not depend on them:
// gen_ai.tool.called is true if the record shows a tool being called, even in vain, and gen_ai.tool.returned if it shows
// the result, even an error. A span or another record of a tool that ran shows both. One logical call may appear in several
// logs, as the model's request, as the run and as the result; these events share gen_ai.tool.call.id.
//
// The field ai_agent.workflow is the job that the agent was set to do, by which rules learn the usual in that job: the
// producer's own name of it (a managed prompt, tags, a workflow or agent in telemetry, a route), else a hash of the system
// instructions and of the names of the tools on offer. schema/formats/workflow.go defines it. It is stable over the sessions
// of a job, because dates, numbers and ids in instructions do not count, and it is no proof of anything, because callers
// write instructions and tags.
//
// The formats fall into families. Gateways log HTTP calls (class api or http, and llm if they parse the body); model
// gateways, model APIs and telemetry log conversations and tools (class llm and tool); audit trails log changes and sign-ins
// (class audit and auth).
//
// # Secrets and exposure
//
// Rules see every value unchanged. Exposure limits how much of a value may leave the worker, into findings, State and
// dead letters: Redacted replaces the credentials in it and is the default; Kept exposes all of it, Hashed its hash, with
// which equal values can be recognised, and Dropped nothing. A Redaction holds the exposure of each field, of each raw path
// and of dead letters. No reader stores an API key or a token in a field: credential.uid holds the id of the key, or the
// hex of the SHA-256 of the secret, by which several logs can be joined.
//
// # The finding
//
// A Finding is the verdict of one rule on one key in one group of triggers. It is open while its group may change, settled
// once the group is over, and withdrawn if a record that arrived out of order showed that it was wrong. Its Evidence lists
// the events behind it, with their positions and the fields that the rule mentions. Its JSON form is a contract: fields
// are added, never renamed.
//
// # Packages below
//
//   - schema/scan selects paths from JSON text in one pass, without building a tree.
//   - schema/content finds credentials in text and replaces them, and has the glob of rules and lists.
//   - schema/formats has the record that readers fill and the rules of normalisation; schema/formats/gateway, cloud and
//     llm have the readers, one file for each format.
//   - schema/decode removes envelopes, detects the format and runs its reader.
package schema
