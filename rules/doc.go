// Package rules reads rule files and compiles them into a Set: immutable, with an index over the conditions. This
// comment is the reference of the rule language.
//
// # A rule file
//
// A rule is one YAML file: a condition, at most one stateful clause, a response, and the rule's own tests.
//
//	id: llm.tool-call-burst              # unique and stable; a-z, 0-9, dot and dash
//	summary: "{ai_agent.name} called {gen_ai.tool.name} {count} times within a minute"
//	version: 2                           # default 1; part of the finding's id, so raise it when the meaning changes
//	title: Agent makes more than 100 tool calls a minute in one session
//	description: A loop, or an agent driven by injected instructions, shows as a burst of tool calls.
//	severity: high                       # info, low, medium, high or critical
//	confidence: 70                       # 0 to 100, default 50
//	status: stable                       # draft, block, shadow, stable (the default) or disabled: see Status and tags
//	datasets: ["@llm"]                   # families and datasets; default: all. In their place: see Rules over rules
//	tags: [owasp.asi08-2026, x.mine]     # known ids of OWASP, ATLAS, ATT&CK and CWE, or x.<anything>
//	references: ["OWASP Top 10 for Agentic Applications 2026, ASI08"]
//	false_positives: [Batch agents at night]
//	when: event.class == "tool" && gen_ai.tool.called
//	threshold: {count: 100, within: 1m, by: [ai_agent.uid, session.id]}
//	group: {for: 1h, by: [ai_agent.uid]}
//	respond:
//	  - notify: [soc]                    # webhooks of the configuration
//	  - contain: {scope: session, ttl: 15m, mode: monitor}
//	exceptions:
//	  - {when: ai_agent.name == "nightly-eval", until: 2027-03-31, reason: load test, owner: ml-platform}
//	tests:
//	  - name: 101 calls in a minute fire once
//	    events:
//	      - repeat: 101
//	        every: 500ms
//	        set: {event.class: tool, gen_ai.tool.called: true, ai_agent.uid: a1, session.id: s1}
//	    findings: [{by: {ai_agent.uid: a1}, count: 101}]
//	  - name: a model call does not
//	    events: [{set: {event.class: llm, event.action: chat, ai_agent.uid: a1, session.id: s1}}]
//	    findings: []
//
// Required are `id`, `title`, `severity` and `when`. A sequence, a flow, a provenance and an absence with parts may
// omit `when`, because each of their parts has one, and so may a rule over others.
//
// A duration is written as 500ms, 90s, 5m, 12h, 30d or 1h30m, in whole milliseconds. An unknown key, a duplicate id, an
// unknown field, list or tag and a type error are all errors. Load reports the errors of all files at once, each with
// its position, and builds no Set if there is one. A missing test and an expired exception are warnings.
//
// `params` names values of the rule with their defaults: {count: 20, within: 5m, tools: [drop, wipe]}. $count in the file is the
// value, params.tools in a condition is a literal. A site sets others in params.yaml in its folder of rules:
//
//	params:
//	  aws.bulk-delete: {count: 50, within: 10m}
//
// The tests of the file run with its defaults.
//
// `why`, `triage` and `expected` are for readers: why the behaviour matters, what a person does about a finding, and how often
// findings are expected.
//
// `datasets` names the datasets whose events the rule reads. It also limits the datasets whose progress the rule waits
// for: a rule without it waits for all of them. "@llm" names a family of datasets: llm is models, tools, MCP and the
// telemetry of agents, gateway is HTTP APIs, audit is clouds and other platforms (`aidr formats` lists the families of each
// format). The datasets of the site's field maps belong to families too, so a rule that names a family need not be changed
// for a new source.
//
// The dataset aidr.audit holds the changes of the process itself: event.action is the change (contain, token.create, reload,
// refused ...), user.name its origin, resource.type the class, resource.id the object, resource.name the rule, event.outcome
// failure for a refused request. Triage is not in it. Its events match only rules that name it, such a rule names no other
// dataset, and feeds no rule. Rules are read from the beginning of the audit: entries that are older come late.
//
// `summary` is the sentence that people read first. A name in braces is a value of the finding: a field or a raw path of its
// events, {count}, {value} (of new_value, the value that is new), a named expression of the group's key, and
// {provenance.value}, {provenance.argument} and {provenance.source} of a provenance rule. A rule with `over` may also name
// the fields of triggers, such as {rule.id}. {{ and }} are braces. Texts are redacted, cut and quoted, at most three different
// ones of a field are shown, and ai_agent.uid takes the place of an ai_agent.name that is absent. Evidence shows the fields
// that the summary names. Without a summary the engine names the agent, the tool or action, the target, and an outcome that
// is not success.
//
// # Status and tags
//
// `status` is the step that the rule has reached on its way into production:
//
//	draft      only its tests run
//	block      a part of other rules: its triggers feed the rules over it, and it makes findings in its own tests only
//	shadow     its findings are recorded, and never delivered
//	stable     its findings are delivered; this is the default
//	disabled   it is read and checked, and does nothing
//
// `tags` are ids of OWASP, ATLAS, ATT&CK and CWE (tags.tsv lists them), or begin with x. A technique of ATT&CK or ATLAS
// has tactics, which the same table lists. The tactics of a rule are those of its techniques and the tactics among its
// tags, each once; rules over it read them as rule.tactic. Other tags have none. ATT&CK and ATLAS have ids of their own
// for tactics of the same name: attack.ta0010 and atlas.aml-ta0010, both Exfiltration, are two. A technique may have
// several tactics too. So a rule often has more than one, and a single trigger may reach a small count of tactics.
//
// # The condition
//
// A condition is a CEL expression over the normalised event. Fields have the names and types of schema/FIELDS.md.
// Integers and decimals compare with each other.
//
// Absent fields. An absent field has the zero value of its type: "", 0, false, an empty list, or the time 0. has(field)
// reports whether it is present. No condition fails because a field is absent.
//
// Raw paths. raw.a.b is any value of the original record, and raw["@timestamp"] one whose key is not an identifier. Its
// type is known only at run time. A path that is absent and a JSON null are the same: missing. With a missing operand
// ==, <, <=, >, >=, in and the text functions are false and != is true, even if both operands are missing; x == null is
// true, size(x) is 0, exists is false and all is true; as a condition of its own, it is false. Arithmetic on a missing
// value is an error, and so is a text function on a number. The fields that hold any JSON, such as
// gen_ai.tool.call.arguments, behave in the same way, and so do the values inside them. A path that holds a credential,
// such as a header authorization, is refused.
//
// Errors. A condition whose evaluation fails does not hold, and the failure is counted for the rule.
//
// Functions. In addition to the operators of CEL:
//
//	text       contains, startsWith, endsWith, matches (RE2), glob (* and ?), iequals, icontains, lowerAscii
//	lists      in, size, exists, exists_one, all, map, filter
//	addresses  ip(x).isPrivate(), isLoopback() and isLinkLocal(); cidr("10.0.0.0/8").contains(x); in octal, hexadecimal,
//	           short and mapped form, too
//	URLs       url(x).scheme, host, port and path, in canonical form: the host in lower case, addresses in dotted decimal,
//	           the path without //, . and .., with unreserved characters decoded
//	time       getHours() and the like, in UTC or with a constant offset such as getHours("+02:00")
//	content    of a text, or of a JSON value as text functions search it:
//	           normalised(x): in lower case, with single spaces, without invisible characters, look-alike letters made Latin
//	           text(x): a number or bool as its text, "" of a missing value, so that text(raw.port) == "443" never fails
//	           decoded(x): with base64, hex and percent-encoding taken off
//	           injection(x): from 0 to 100, how likely it gives orders to a model; from 40 on it has a phrase that does
//	           secrets(x): the kinds of credentials in it; invisible(x): bidi, tag, zero_width; entropy(x): bits per byte
//
// Patterns, globs and networks must be constants. The variable of exists and the like must not be the first part of a
// field's name, nor raw, lists or agent. An expression whose estimated cost is too high is an error. A pattern with counted
// repeats is charged for their copies: x{0,900} is compiled to 900 of them.
//
// Lists. lists.NAME is the list in lists/NAME.yaml. x in lists.NAME reports whether a list of strings contains x, a
// network of a list of CIDRs contains the address x, or a glob of a list of globs matches x. Its cost hardly depends on
// the size of the list. See package rules/site.
//
// Agents. agent is the entry of the event's ai_agent.uid in the registry: attributes such as agent.registered, agent.owner
// and agent.expires, and agent.allows("tool", x), or agent.allows_tool(x), for each kind of thing that an agent uses. An
// attribute that is not set is absent, as a field can be. rules/site/AGENTS.md lists all of them.
//
// Capabilities. cap.untrusted, cap.private, cap.egress, cap.change and cap.destructive report what the tool of a call or result,
// the request or the cloud action of the event can do: its result may hold texts of strangers, or data of the organisation or
// of people; it brings data to others; it changes something; it deletes, stops or revokes something. tool(x).egress and the like
// ask about the tool with the name x. The shipped entries and capabilities.yaml in the folder of rules decide, else the words of
// the name and the shape of the arguments. See package rules/site; `aidr capabilities explain` shows why.
//
// Idle rules. A rule is idle at a site that lacks something that every finding of the rule needs: a registry, for a
// rule that reads agent, unless it also reads agent.registry; a value in a list, for a rule that requires an element of the list; a source that carries one
// of the rule's datasets; an active rule that feeds it, for a rule over others, and one for each step.
// Set.RuleActivities returns the reason and the remedy.
//
// # Items, keys and order
//
// An event becomes an item of a rule if its dataset is one of the rule's, it matches the condition and no exception
// applies, and it has a time and all fields of `by` and `of`. (The `of` of a sum is optional: an absent number adds 0.)
// Events that lack one of these fields are counted for the rule. An event has one item for each key.
//
// The time of an item is the end of its event: time + event.duration. Items are ordered by (time, role, identity). The
// role is the number of the step in a sequence, from 1, that of the label in the order of a flow, and 1 for each label of a
// flow without an order; for `after`, `without` and `known` it is 1, for `expect`, `act` and `from` 2, for `into` 3. It is 0
// for `unless` and `clear`, and in all other kinds. An event that matches several roles with the same key is one item,
// ordered by the smallest of them. The identity is a hash of the
// dataset and the producer's event id, or of the record itself if it lacks an id. Two items of one key with the same
// time, and with the same identity made from an id, are copies of one event and count once; if they differ, the one
// with the smaller hash of its contents counts.
//
// This order is total and depends on the events alone, never on the order of arrival, on partitions, workers or
// restarts. So two events with the same timestamp count in the order in which a sequence needs them, and not by chance.
// The definitions below are in terms of this order, and the limits in them are part of the definition: beyond a limit
// the order determines which part is dropped, and the drop is counted.
//
// An entry of `by` or `of` is an operand, in one of three forms:
//
//	session.id                           a field
//	raw.requestParameters.bucketName     a path of the original record
//	{as: tool, is: 'mcp.server.name + "/" + gen_ai.tool.name'}
//	                                     an expression that gives a text, with the name that findings show
//
// An expression that gives "" or cannot be evaluated is absent, and so is an empty text of a path.
//
// The key of an item is the list of its values of `by`. Each key has State of its own, and "the items" below are the
// items of one key. As a value in `by` or `of`, a number, a bool or a time is its text, and a mapping is JSON text with
// sorted keys. A text in a key is shortened and completed with a hash if it has more than 1 KiB or contains a
// credential, so that different values remain different; a field that the configuration hashes or drops is its hash. Of
// a value in `of`, State holds 64 bits of its SHA-256 and not its text.
//
// A window is half-open: for an item at time t it holds the items in (t-within, t] up to that item in the order. An
// item exactly `within` before t is outside, in every kind. A trigger does not reset anything.
//
// # Kinds
//
// A rule has at most one stateful clause, whose name is its kind. `within` is at most 366 days; `by` names 1 to 8
// fields.
//
// # none
//
// A rule without a clause. Every item triggers. The key is `group.by`, which defaults to ai_agent.uid, and an absent
// field of the key is "".
//
// # threshold
//
//	threshold: {count: 100, within: 1m, by: [ai_agent.uid]}
//	threshold: {sum: {of: gen_ai.usage.cost, at_least: 5.5}, within: 1h, by: [ai_agent.uid]}
//	threshold: {ratio: {of: event.outcome == "failure", at_least: 0.5, min: 20}, within: 5m, by: [ai_agent.uid]}
//
// An item triggers if the window that ends with it reaches the limit. Exactly one limit is given:
//
//   - `count`: the number of items is at least `count` (1 to 10^9).
//   - `sum`: the sum of `of`, a field or a raw path, over the items is at least `at_least`, a number above 0. Each summand
//     is rounded to a multiple of 10^-9; absent and negative numbers and values that are not numbers add 0, and numbers
//     above 2^62 add 2^62. Because sums are exact, they do not depend on the order of the items.
//   - `ratio`: there are at least `min` items, and the share of them for which the condition `of` is true is at least
//     `at_least` (above 0, at most 1). If `of` cannot be evaluated for an item, it is false.
//
// With a count of at most 256 this is exact. State holds the times of the latest 256 items, so 256 is also the highest
// number that a finding shows, with the words "at least".
//
// Panes. With a larger count, a sum or a ratio, time is divided into panes of within/64, aligned to the epoch. The
// window of a pane consists of the pane and the 64 before it, so it is never shorter than `within` and at most
// within/64 longer. A pane with an item is judged as a whole and triggers at most once; the time of the trigger is the
// end of the pane. A count and a sum only grow, so that their finding is emitted as soon as the limit is reached; that
// of a ratio is emitted after the end of the pane.
//
// # distinct
//
//	distinct: {of: [source.ip], count: 3, within: 10m, by: [credential.uid]}
//
// An item triggers if the window that ends with it holds at least `count` (1 to 10,000) different values of the 1 to 3
// fields of `of`. State holds the max(64, 4 x count) values seen last. This limit never suppresses a trigger; it limits
// only the number of values that a finding shows, which then reads "at least".
//
// # new_value
//
//	new_value: {of: [gen_ai.tool.name], by: [ai_agent.uid], learn: 7d, forget: 30d, max_values: 256}
//
// Each key has a set of values of the 1 to 3 fields of `of`. An item triggers if its value is not in the set and the
// first item of the key is at least `learn` older than the item; with `learn: 0s`, every new value triggers, the first
// included. Whether it triggers or not, the value is then in the set, last seen at the item's time. A value leaves the
// set when it was last seen `forget` (default 30d) or longer ago. Above `max_values` (default 256, at most 4,096) the
// value that was seen longest ago leaves. A key whose set is empty is forgotten, and learns again from its next item.
//
// With `hold: 24h`, a value that triggered stays new for that long: each item with it triggers until its first trigger is
// at least `hold` ago. The first trigger is forgotten with its value.
//
// # baseline
//
//	baseline: {of: sum(gen_ai.usage.cost), by: [ai_agent.uid], bucket: 1h, season: hour_of_week, min_value: 1}
//
// Time is divided into buckets of the length `bucket`, aligned to the epoch. A bucket of a key has a value if an item fell
// into it. The value is one of
//
//	count             the number of items
//	sum(FIELD)        the sum of a field or a raw path, as in a threshold
//	distinct(FIELD)   the number of different values of 1 to 3 fields, separated by commas: exact up to 1,024, then that
//	ratio(CONDITION)  the share of the items for which a condition is true
//
// In {...}, a value with a comma needs quotes. The value is compared with those of earlier buckets of the same slot: the hour
// of the day (`season: hour_of_day`) or of the week (`hour_of_week`) of the bucket's start, in UTC, or without a season (`none`,
// the default) with all. With a season, `bucket` must divide its period. A slot remembers its last `history` values (default
// 28, at most 64). Of these,
//
//	z = (value - median) / max(1.4826 x MAD, 0.05 x median, 10^-9)
//
// exactly, with MAD the median of the distances from the median. A bucket triggers if its slot has at least `min_samples`
// values (default 7), the value is at least `min_value` (default 0), and z is at least `deviation` (default 3.5, at most 1,000)
// with `direction: up` (the default), at most -deviation with `down`, or either with `both`.
//
// A bucket triggers at most once, at its end. But upwards, a count, a sum and a number of different values trigger at the end
// of the first pane, a 64th of the bucket, with which the value reaches the limit. As these only grow, their finding is
// emitted as soon as the limit is reached. A `deviation` that changes with a rule counts from the next bucket on.
//
// At its end, a bucket that did not trigger is learnt. One that did is not, so that an attack does not become the usual. After
// 7 buckets in a row of a slot that triggered, all seven are learnt, in order: the finding then says that they are the new
// normal. A bucket without items is neither learnt nor does it trigger: use absence for silence. A key without items for 30
// days, or for the time in which its history fills if that is longer, is forgotten and learns again.
//
// # rarity
//
//	rarity: {of: [gen_ai.tool.name], by: [ai_agent.uid], share: 0.01, min_samples: 200, history: 30d, max_values: 256}
//
// The history of a key is divided into panes of history/64 (default 30d), aligned to the epoch. An item triggers if its
// pane and the 64 before it hold at least `min_samples` items before it in the order, and its value, the 1 to 3 fields of
// `of`, made up less than `share` (above 0, at most 1) of them. Whether it triggers or not, the item then counts.
//
// State holds the numbers of items of at most `max_values` values (default 256, at most 4,096). When another value comes,
// the value with the fewest items leaves, of several the one that was seen longest ago; its items still count as items of
// the key, and the value is counted from 0 if it comes again.
//
// # sequence
//
//	sequence:
//	  within: 15m
//	  by: [credential.uid]
//	  steps:
//	    - {id: asked, when: event.action == "ask"}
//	    - {id: denied, when: event.outcome == "failure", times: 5}
//	    - {id: done, when: event.action == "do", by: [ai_agent.uid]}
//	  where: done.resource.id == asked.resource.id
//	  unless: {when: event.action == "approve"}
//
// A sequence has 2 to 16 steps. A step matches an item if the rule's `when` and the step's own `when` hold. `times: n`
// (1 to 256) requires n items of the step, all of them after those of the previous step and before those of the next. A
// step and `unless` may have a `by` of their own, with one field for each field of the rule's `by`. In this way one
// rule joins sources that have the same value in different fields.
//
// An item e triggers if it matches the last step and there is a chain of items s1 < s2 < ... < e, one for each step (n
// for a step with `times: n`), such that
//
//   - e is less than `within` later than s1,
//   - the condition `where` is true of the chain, if the rule has one, and
//   - no item between s1 and e in the order matches `unless`.
//
// An item is at most one link of a chain. The evidence is the latest such chain, comparing chains from s1 on.
//
// A sequence without `where` is exact: the latest chain of each step is enough to decide whether an item triggers.
//
// `where` is a condition over the steps: STEP.field and STEP.raw.path read the item of a step. It may use lists, but not
// agent, because the registry may have changed since the item. If the condition cannot be evaluated for a chain, it is
// false, which is counted. If e completes several chains for which it is true, the latest of them triggers.
//
// Joins. A conjunct b.f == a.g over two steps is a join. Joins that have a side in common are one. A side that is absent or
// empty joins nothing. Numbers are equal whatever their type, and JSON in any order of its keys. The join value of a chain
// is the list of those of its sides that its items know so far, and State keeps the chains of each join value apart, so
// decoys with other values displace nothing. All items of a step with `times` have the same value in a join; such a step
// must not be read outside of joins.
//
// With joins alone State holds the latest chain for each join value and link, and the sequence is exact. With other conditions
// it holds for each join value and link but the last the 16 latest chains that end with it, compared from s1 on; earlier
// chains are dropped and counted. State holds the chains of the 4,096 join values for which a chain began or grew last. Of
// one item the later step counts first. A join value that leaves with a chain is counted.
//
// # absence
//
//	absence:
//	  after: {when: event.action == "approval/asked"}
//	  expect: {when: event.action == "approval/given", by: [user.id]}
//	  within: 5m
//	  by: [session.id]
//
//	absence:
//	  act: {when: event.action == "deploy"}
//	  without: {when: event.action == "approve"}
//	  within: 1h
//	  slack: 30s
//	  by: [resource.id]
//
//	absence: {silent: {for: 2h}, by: [ai_agent.uid]}
//
// An absence triggers when an event is missing. It has one of three forms. `when` is required for `silent`; in the other
// forms it is optional, and holds for both parts. A part may have a `by` of its own, as the steps of a sequence.
//
// `after` and `expect`: each `after` item A sets a deadline, `within` after A. It triggers at the deadline if no `expect`
// item came after A in the order and before the deadline; one exactly at the deadline is too late. One `expect` item answers
// all earlier items that wait. Of one time, `after` comes before `expect`, so that an `expect` item answers an `after` item
// of the same time. An item with both roles answers the earlier ones, and then waits itself.
//
// `act` and `without`: an `act` item B needs a `without` item that came less than `within` before it. Because the clocks of
// two systems differ, one that is less than `slack` (0 to 1d, default 30s) later counts too, and so does one of the same
// time, such as B itself. If there is none, B triggers `slack` after its time, at its deadline; with `slack: 0s`, a
// nanosecond after it. An `act` item that is answered when it comes sets no deadline.
//
// `silent`: a key triggers when its last item is `for` ago, once. Then the key is forgotten, until it has another item. A
// key that never had an item does not trigger.
//
// The time of a trigger is the deadline. Of one key at most 16 deadlines are open: the oldest ones stay, and further items
// open none, which is counted. Because a missing event may still arrive, a finding is emitted only when the watermark has
// reached the deadline. At the end of a replay the deadlines up to the end have been reached, and the others have not.
//
// # flow
//
//	flow:
//	  labels:
//	    untrusted: gen_ai.tool.name == "fetch"
//	    private: gen_ai.tool.name == "read_mail"
//	    egress: gen_ai.tool.name == "send"
//	  need: 2
//	  within: 1h
//	  by: [session.id]
//	  clear: {when: event.action == "approve"}
//
// A flow has 2 to 16 labels, each with a condition; a label's name consists of a-z, 0-9 and _. An item has each label whose
// condition holds, together with the rule's `when` if there is one. It triggers if it has a label and its window, the items
// in (t-within, t] up to it, has at least `need` different labels: a number, or `all`, the default. One item can have several
// of them.
//
// An item that matches `clear` removes the labels of all items before it. It does so before its own labels count, and before
// other items of the same time. `clear` may have a `by` of its own.
//
//	order: [untrusted, private, egress]
//
// `order` lists all labels. An item then triggers if it has a label and its window, since the last `clear`, has one item for
// each label in this order, each later in the order than the one before. With `order` there is no `need`. The evidence is
// the latest such items.
//
// A flow is exact: the latest item of each label, or the latest chain up to each label, is enough to decide.
//
// # provenance
//
//	provenance:
//	  known: {when: event.class == "llm", text: message_context.prompt_text}
//	  from: {when: gen_ai.tool.returned, text: gen_ai.tool.call.result}
//	  into: {when: gen_ai.tool.called, text: gen_ai.tool.call.arguments}
//	  within: 1h
//	  by: [session.id]
//
// A provenance finds values that came out of an untrusted result and that the user did not give. Each of its three parts has
// a condition, a `text`, and a `by` of its own if it needs one. A text is a field, a raw path, or an expression that gives a
// text; if an event lacks it, or the expression cannot be evaluated, it has no values.
//
// The values of a text are its distinctive parts, in lower case: scalars of JSON, and in running text addresses of mail and
// the web, hosts, paths, numbers, identifiers and quoted words. Package schema/content defines them. A text has at most 512
// values; a text with more is counted.
//
// An item first makes the values of its `known` text known, then uses those of its `into` text, then brings those of its
// `from` text. It triggers if it uses a value that items before it in its window brought, unless one of them, or the item
// itself, made it known. So a user who names a value later clears nothing, but one who named it earlier does, even if the
// record of it arrives later.
//
// The trigger shows the longest such value in characters, of equally long ones the first in bytes, the top-level key of the
// arguments that holds it, and the tool (gen_ai.tool.name) of the latest item that brought it. The evidence is that item and
// the one that triggered.
//
// State holds the 4,096 values brought last and the 4,096 made known last, of one item in the order of its text. A value
// that leaves in its window is counted. Of the 32 latest items that brought values it holds the evidence, up to 2 KiB, of
// earlier ones the position of the record. Items that use values of a key to which nothing was brought in the window cannot
// be judged. They are counted too.
//
// # Rules over rules
//
//	over: [kinds.taint, "llm.*", attack.t1048]
//	when: rule.opens && rule.severity in ["high", "critical"]
//	distinct: {of: [rule.tactic], count: 3, within: 1h, by: [ai_agent.uid]}
//
// The items of a rule with `over` are the triggers of other rules, and not events. It has no `datasets`. Its kind is
// none, threshold with `count`, distinct, new_value or sequence, with the meaning that they have over events. Without
// `when`, all triggers of the rules are items.
//
// Names. `over` lists ids, globs and tags. An id names one rule. A glob (* and ?) names the rules with such an id, and
// a tag those with the tag, but no rules that have `over` themselves: ["*"] is all rules on events. A rule over others
// feeds another only if its id is listed. Built-in rules, whose ids begin with aidr., feed none. An id that no rule
// has, and rules that feed each other in a circle, are errors; a glob or tag that names no rule is a warning.
//
// Status. A rule that is not in production changes no finding of one that is. Stable rules and blocks feed all rules,
// rules in shadow feed rules in shadow and drafts, drafts feed drafts, and disabled rules feed none.
//
// Triggers. Every trigger is an item, also one that joins an open group, whether or not it is delivered. rule.opens is true
// for the one that opens a group: with it in `when`, a rule counts findings instead of triggers. A call in which a
// provenance finds several tainted arguments has a trigger for each of them, at most 64. Late events have no triggers:
// their findings feed nothing.
//
// The item has the time of the trigger, which is the end of the event that triggered, or a deadline: that of an
// absence, or the end of a pane. An event triggers as soon as it is known, and its trigger is taken back if an event
// that arrives later changes the result; the rules over it then find the same as if it had never been. A deadline
// triggers when the watermark has reached it, and is never taken back. At the end of a replay, the deadlines up to the
// end trigger. A rule over others settles after all rules that feed it.
//
// Fields. Conditions, operands and `where` read
//
//	rule.id, rule.severity    of the rule that triggered
//	rule.tag, rule.tactic     lists of its tags and tactics, absent if it has none
//	rule.opens                whether the trigger opened a finding
//	provenance.value          the tainted value, in lower case and without credentials; of a provenance and
//	                          of rules over one, otherwise absent, as the next two
//	provenance.argument       the argument that holds it; absent if the text is not a JSON object
//	provenance.source         the tool that brought it; absent if it is not known
//	any other field           of the key of the rule that triggered, else of the event that triggered
//	raw.PATH                  of the event that triggered
//
// A field of that key has its name in the rule's `by`, even if a role reads another field for it. A deadline has no
// event: it has the fields of the key, those of the rule, and its time. event.duration is absent. A trigger that lacks
// a value of `by` or `of` is no item, as an event would be. Exceptions apply to triggers as they do to events.
//
// A distinct over a single list, such as rule.tag or rule.tactic, counts each element; in all other places a list is
// one value, its JSON text.
//
// Order. Triggers are ordered by (time, role, id of the rule that triggered, identity of the event, key of that rule).
// The role is the number of the step, as for events. No trigger is a copy of another.
//
// A step of a sequence names its rules, by an id, a glob or a tag, and may omit `when`:
//
//	over: [llm.secret-read, "gateway.*"]
//	sequence:
//	  within: 15m
//	  by: [ai_agent.uid]
//	  steps:
//	    - {id: read, rule: llm.secret-read, when: rule.opens}
//	    - {id: sent, rule: "gateway.*"}
//	  where: sent.session.id == read.session.id
//	  unless: {when: rule.id == "gateway.approved"}
//
// These rules should be among those of `over`: a step that names none of them never matches, which is a warning. `unless`
// names its rules in its condition.
//
// # Groups and findings
//
// The first trigger at time t opens a group [t, t+group.for). Later triggers of the same group key in this interval
// update its finding, and the next one after it opens a new group. `group.for` is 1h by default; with 0, a group holds
// the triggers of one instant. `group.by` is a subset of `by`, and by default all of it, so a group may combine several
// keys. The finding settles when the watermark passes the end of the group.
//
// The first trigger of a group sets `count`, `value` and `first_seen` of the finding. Each further trigger adds to
// `count`, raises `value` if its own is higher (of rarity and of a baseline downwards, lowers it if its own is lower), and sets `last_seen` to its time:
//
//	kind               count                    each further  value                first_seen
//	none, new_value    1                        1             -                    the item
//	rarity             1                        1             share of the value   the item
//	baseline           items of the bucket      the same, in  value of the bucket  the bucket's first item
//	                   up to the pane           its place
//	threshold          items in the window      1             number of items      the oldest of them
//	threshold (panes)  items in the window      items of the  number, sum or       the oldest of them
//	                                            pane          share of items
//	distinct           values in the window     1             number of values     the oldest of the latest items,
//	                                                                               one for each value
//	sequence           items of the chain       1             -                    s1
//	provenance         1                        1             -                    the item
//	absence            1                        1             -                    the item without an answer, the last one
//	flow               labels in the window     1             number of labels     the oldest of the latest items,
//	                                                                               one for each label
//
// A finding shows its first 3 and its last 5 events. Of these events State holds the latest 5 of a threshold or
// distinct, all of a chain, the items of an absence that wait, the latest item of each label, and the latest items that
// brought values. For each event the finding shows the fields that the rule's conditions and clause read. A finding of
// a rule over others shows the events that triggered, each with the rule.id of the rule, and the tainted value of the
// first of them that has one, as far as the rule reads it.
//
// An event that arrives after the delay that the configuration allows for its dataset is late. It is not an item, but a
// rule without a clause makes one settled finding of each late event.
//
// # Built-in rules
//
// Ids that begin with aidr. are those of built-in rules. No rule has their findings as items.
//
// aidr.limit-reached (medium) is a rule like any other: its items are the losses of the rules, each time that a limit of a
// kind makes one of them give something up for a key. It counts them in event time below the watermark, one finding an hour
// and rule, with the key and the name of the limit (error.type).
//
// The others are operational: they describe the running process by its wall clock. Their findings are marked `operational`,
// have no evidence, are no function of the records, and appear in no replay.
//
//	aidr.source-silent       medium  a source that had records has none for its silent_after, although it is connected and
//	                                 read to its end; of Kafka each topic alone. Key: source, topic
//	aidr.source-unreadable   high    the connection of a source has been failing for 5 min. Key: source
//	aidr.rule-failing        medium  within 5 min the conditions of a rule failed on more than 50 events, and on more than a
//	                                 tenth of those on which they held or failed. Key: rule_id
//	aidr.rule-slow           medium  within 5 min a rule took a quarter of the time of the engine, and 10 us or more for each
//	                                 event that was read, while the engine was busy. Every event is still judged: disabling the
//	                                 rule is the operator's decision. Key: rule_id
//	aidr.checkpoint-failing  high    no checkpoint could be written for a minute or longer; it is reported once one is written
//	aidr.outbox-full         high    reading is paused, because a sink that may not lose findings is away
//
// Their group_start is the start of the hour. A finding is open while its condition holds, and settles a minute after the
// condition is over or when the hour is. If the condition goes on, the next hour has its own finding; if it comes back in the
// hour of a settled one, the next finding has the group_start of its minute. first_seen is the beginning of the condition.
//
// # Exceptions
//
// An exception removes the events that match its `when` from the rule, if they end before the end of the day `until`,
// in UTC. Exceptions do not apply to `unless`, `expect`, `without`, `clear` and `known`: an event with an exception still
// breaks a sequence, answers, clears and makes values known. An exception that cannot be evaluated removes nothing. Removed events are counted.
//
// # Responses
//
// `notify` lists webhooks of the configuration; `contain` requests a containment: its `scope` (agent, session,
// credential, tool or route), its `state` (observe, throttle, hold or deny, the default), its `ttl` (1s to 31d), its
// `mode` (monitor, the default, or enforce) and, for the state throttle, `per_minute`, the calls a minute that are allowed
// (default 60). A finding records both as requests. A running engine carries a containment out when the finding opens or
// gets another trigger, within the section `response` of the configuration; a rule with the status shadow, and a replay,
// contain nothing. The target is that of the finding: its agent and session, and of the rule's key or else of the latest event
// the credential, the tool with its server, or the route. A finding that lacks it, because the field is absent, hashed by
// `redact` or of 256 bytes or more, contains nothing; aidr_responses_total counts that as no_target.
//
// # Sigma
//
// `aidr rules import sigma --out DIR PATH...` translates Sigma rules and correlations into rule files, and names what it cannot
// translate with the place, the reason and the remedy. The conditions of translated rules use text(raw.x), so that a comparison
// holds for a number and its text alike and never fails:
//
//	eventName: [CreateUser, 'Delete*']      text(raw.eventName).iequals("CreateUser") || text(raw.eventName).lowerAscii().startsWith("delete")
//	errorCode: null                         !has(raw.errorCode)
//	userAgent|re: '^curl/'                  user_agent.original.matches("^curl/")
//	type: event_count, gte: 5               over the translated rules, threshold with count
//
// Translated rules have no tests; add them. Package rules/sigma has the whole translation.
//
// # Tests
//
// The tests of a rule run through the engine, in event time, from 2026-01-01T00:00:00Z. An entry of `events` makes
// `repeat` events (default 1) at a distance of `every`. The first of them is at the offset `at` from the start. Without
// `at`, it follows the last event of the previous entry at the distance `every` of that entry. The events are given as
// fields (`set`) or as a record (`raw`, with an optional `format`). An event of `set` has the class api and the first
// of the rule's datasets, unless `set` contains others. Nothing follows from the other fields: the event of a tool call has
// to set gen_ai.tool.called. `set` also takes raw paths, such as raw.team.name, which become part of the record.
//
// `findings` is the complete list of the expected findings, in any order. An expected finding has some of the keys that
// a finding has in JSON, with `by` for `key`, and a finding matches it if it has the same values there. A rule should
// have a test that fires and one that does not; otherwise it loads with a warning.
//
// A test may have a registry of its own: `agents`, and `owners`, are lists as in agents.yaml. Without them the rule runs as at
// a site without a registry.
//
// The tests of a rule over others run with the rules that feed it, whatever their status, and `findings` lists its own
// only. An event of `set` then has the first dataset that one of them names.
package rules
