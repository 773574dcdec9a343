package site

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// registryKey is one key of a mapping of the registry, for the schema and the reference page.
type registryKey struct {
	name, meaning string
	form          any // the JSON Schema of the value, without its description
	shown         string
	required      bool
}

// object is a JSON Schema or a part of one.
type object = map[string]any

var (
	textForm = object{"type": "string", "minLength": 1}
	dayForm  = object{"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
)

func refTo(name string) object { return object{"$ref": "#/$defs/" + name} }

func listOf(item object, most int) object {
	return object{"type": "array", "items": item, "maxItems": most}
}

// fileKeys are the keys of the file.
func fileKeys() []registryKey {
	return []registryKey{
		{"agents", "The agents, one entry each.", listOf(refTo("agent"), MaxAgents), "list", true},
		{"owners", "Owners and sponsors of agents, to say on which day one of them left.", listOf(refTo("owner"), MaxOwners), "list", false},
	}
}

func ownerKeys() []registryKey {
	return []registryKey{
		{"id", "The owner as entries name it; case does not matter.", textForm, "text", true},
		{"name", "For readers.", textForm, "text", false},
		{"left", "The last day of the owner, such as 2027-01-31. From the next day on `agent.owner_left` is set.", dayForm, "date", false},
	}
}

// entryKeys are the keys of an agent's entry.
func entryKeys() []registryKey {
	var statuses []any
	for _, s := range Statuses() {
		statuses = append(statuses, string(s))
	}
	out := []registryKey{
		{"uid", "The value of `ai_agent.uid`.", textForm, "text", true},
		{"name", "Name of the agent, for readers and `agent.name`.", textForm, "text", false},
		{"description", "For readers.", textForm, "text", false},
		{"owner", "The person or team that answers for the agent; an active entry without one is a warning.", textForm, "text", false},
		{"sponsor", "The person that approved the agent.", textForm, "text", false},
		{"status", "`active` (the default); `suspended` or `retired`: known, and may use nothing; `proposed`: approves nothing, and its " +
			"aliases and declared ids do not count, until a person changes the status.", object{"type": "string", "enum": statuses}, "word", false},
		{"expires", "The last day on which the agent may act, such as 2027-03-31. Rules compare it with the time of the event.",
			dayForm, "date", false},
		{"tier", "A word of your own for how much the agent may do, such as high.", textForm, "text", false},
		{"aliases", "Other values of `ai_agent.uid` that are this agent: a text, `{uid, dataset}` for one log, or `{uid, principal}` for an id " +
			"that the agent declares with that credential.", listOf(refTo("alias"), MaxAliases), "list", false},
		{"declared", "Ids that the agent may declare with its credential: they refine its uid to `uid/declared`.",
			listOf(textForm, MaxAliases), "list", false},
	}
	for _, k := range Kinds() {
		form, shown := refTo("grant"), "list of globs"
		if k == Network {
			form, shown = refTo("network"), "list of networks"
		}
		out = append(out, registryKey{k.Key(), fmt.Sprintf("What it may use, as %s. Absent: no limit. Empty: nothing.", kindInfo[k].value),
			listOf(form, MaxGrants), shown, false})
	}
	return append(out, registryKey{"observed", "What `aidr agents learn` knows of the agent as a whole. Nothing depends on it.",
		refTo("observed"), "mapping", false})
}

// grantKeys are the keys of a value that is written as a mapping.
func grantKeys(first ...registryKey) []registryKey {
	meaning := map[string]string{
		"calls": "Number of events with the value", "first_seen": "Time of the first of them", "last_seen": "Time of the last",
	}
	for _, key := range observedKeys {
		first = append(first, registryKey{key, meaning[key] + ", as `aidr agents learn` counted it. Nothing depends on it.",
			object{"type": "string", "minLength": 1, "maxLength": MaxObserved}, "text", false})
	}
	return append(first, registryKey{"note", "For readers.", textForm, "text", false})
}

var (
	exactKey   = registryKey{"exact", "The value itself: * and ? have no meaning of their own.", textForm, "text", false}
	globKey    = registryKey{"glob", "A pattern, in place of `exact`: * is any text, ? any character.", textForm, "text", false}
	networkKey = registryKey{"network", "An address or a network, such as 10.0.0.0/8.", textForm, "text", true}
)

func aliasKeys() []registryKey {
	return []registryKey{
		{"uid", "The other value of `ai_agent.uid`, or the id that is declared.", textForm, "text", true},
		{"dataset", "The only log in which it counts.", textForm, "text", false},
		{"principal", "The credential with which the id is declared.", textForm, "text", false},
	}
}

// observationKeyList are the keys of `observed`.
func observationKeyList() (out []registryKey) {
	meaning := map[string]string{
		"identity": "The rung of the identity ladder that the uid comes from.", "first_seen": "Time of the first event.",
		"last_seen": "Time of the last event.", "calls": "Number of events.",
		"failures": "Number of events that failed.", "datasets": "The logs, with commas between them.",
		"delegated_by": "Number of people on whose behalf it acted.",
		"left_out":     "Number of values that were not written, because there were too many or they are not fit for a registry.",
	}
	for _, key := range observationKeys {
		out = append(out, registryKey{key, meaning[key], textForm, "text", false})
	}
	return out
}

// mappingSchema returns the schema of a mapping with these keys.
func mappingSchema(keys []registryKey) object {
	props, required := object{}, []any{}
	for _, k := range keys {
		form := object{"description": k.meaning}
		for name, v := range k.form.(object) {
			form[name] = v
		}
		props[k.name] = form
		if k.required {
			required = append(required, k.name)
		}
	}
	out := object{"type": "object", "additionalProperties": false, "properties": props}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// JSONSchema returns the JSON Schema of the registry, for editors. The file agents.schema.json holds it.
func JSONSchema() []byte {
	s := mappingSchema(fileKeys())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = "https://github.com/aidr-engine/aidr/rules/site/agents.schema.json"
	s["title"] = "AIDR registry of agents"
	s["$defs"] = object{
		"agent":    mappingSchema(entryKeys()),
		"owner":    mappingSchema(ownerKeys()),
		"alias":    object{"anyOf": []any{textForm, mappingSchema(aliasKeys())}},
		"grant":    object{"anyOf": []any{textForm, mappingSchema(grantKeys(exactKey, globKey))}},
		"network":  object{"anyOf": []any{textForm, mappingSchema(grantKeys(networkKey))}},
		"observed": mappingSchema(observationKeyList()),
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		panic("BUG: " + err.Error())
	}
	return []byte(b.String())
}

// Reference returns the reference page of the registry in Markdown. The file AGENTS.md holds it.
func Reference() []byte {
	var b strings.Builder
	table := func(title, intro string, keys []registryKey) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| key | value | meaning |\n|---|---|---|\n", title, intro)
		for _, k := range keys {
			need := ""
			if k.required {
				need = ", required"
			}
			fmt.Fprintf(&b, "| `%s` | %s%s | %s |\n", k.name, k.shown, need, k.meaning)
		}
	}
	fmt.Fprintf(&b, `# The registry of agents

Generated by `+"`go test ./rules/site -run TestReference -update`"+`; `+"`aidr agents docs`"+` prints it, `+"`aidr agents schema`"+` prints the JSON Schema.

The registry is one YAML file: agents.yaml in a folder of rules, or the file that `+"`agents`"+` names in the configuration. It is
reloaded when it changes, as rules are; if it does not load, the old one stays. Problems have their file, line and column.

`+"```yaml"+`
agents:
  - uid: 88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b   # a LiteLLM key's hash
    name: invoice-bot
    owner: finance-platform@example.com
    status: active
    expires: 2027-03-31
    aliases: ["arn:aws:iam::123456789012:role/invoice-bot", {uid: invoice-bot, dataset: kong.http_log}]
    tools: [read_file, "mail_*", {exact: "what?", note: a tool with a question mark}]
    models: [gpt-4o]
    destinations: ["*.example.com"]
    networks: [10.20.0.0/16]
owners:
  - {id: finance-platform@example.com, left: 2027-01-31}
`+"```"+`

`+"`aidr agents learn`"+` writes a registry of what was observed, in which every entry is proposed. `+"`aidr agents diff`"+` compares the
registry with what is observed.
`)
	table("The file", "At most "+fmt.Sprint(MaxAgents)+" agents and "+fmt.Sprint(MaxOwners)+" owners.", fileKeys())
	table("An agent", "A glob has * for any text and ? for any character; case matters.", entryKeys())
	table("A value as a mapping", "A value of a list of globs may be a mapping, with one of `exact` and `glob`.", grantKeys(exactKey, globKey))
	table("A network as a mapping", "A value of `networks` may be a mapping.", grantKeys(networkKey))
	table("An alias as a mapping", "An alias belongs to one agent only.", aliasKeys())
	table("observed", "Counts and times are texts.", observationKeyList())
	table("An owner", "An owner may be an export of the directory: only those that own or sponsor an agent matter.", ownerKeys())
	b.WriteString("\n## In rules\n\nThe agent is the one in `ai_agent.uid`. `agent.allows(KIND, x)` and `agent.allows_KIND(x)` report whether it may use x: it is\n" +
		"active, and has no list of that kind or one that matches x. An agent that is proposed or not in the registry may use nothing.\n" +
		"A rule that reads `agent.*` is idle at a site without a registry, unless it reads `agent.registry`.\n\n" +
		"| attribute | type | meaning |\n|---|---|---|\n")
	for _, a := range Attributes() {
		fmt.Fprintf(&b, "| `agent.%s` | %s | %s |\n", a.Name, typeName(a.Type), a.Meaning)
	}
	b.WriteString("\n| KIND | list | x is usually |\n|---|---|---|\n")
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", k, k.Key(), kindInfo[k].value)
	}
	return []byte(b.String())
}

func typeName(t schema.Type) string {
	switch t {
	case schema.TypeBool:
		return "bool"
	case schema.TypeTimestamp:
		return "timestamp"
	case schema.TypeList:
		return "list"
	}
	return "string"
}
