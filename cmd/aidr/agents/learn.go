package agents

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
)

// LearnOptions determine what Learn proposes.
type LearnOptions struct {
	// Within leaves out agents and values that were last seen longer than this before the latest event; 0 leaves out none.
	Within time.Duration
	// Known leaves out agents with an entry of their own; nil leaves out none.
	Known *site.Agents
	// Strict also writes the lists without a value, so that the agent may use nothing of that kind.
	Strict bool
	// All proposes agents also if only audit trails show them; most of those are people and services, not agents.
	All bool
	// Calls reports whether a dataset shows calls of agents, and is not only an audit trail.
	Calls func(dataset string) bool
	// Without names kinds for which no list is written.
	Without []site.Kind
}

// Learnt is a registry that was learnt.
type Learnt struct {
	YAML   []byte
	Agents int // number of entries
	// The numbers of agents that have no entry, because only an audit trail shows them, because they are known by their
	// address alone, because they are registered, or because their uid is not fit for a registry.
	Audit, Addresses, Registered, Unfit int
}

// addressSource is the rung of the identity ladder on which the uid of an agent is an address.
const addressSource = "source.ip|user_agent"

// longestName is the length in bytes from which on a name of the inventory may have been cut: a cut name is not the name.
const longestName = 500

// redactedMark is the beginning of a mark that replaces a credential. A name with it is not the name.
const redactedMark = "[redacted:"

// fit reports whether a name of the inventory can be compared with the values of events.
func fit(name string) bool {
	return strings.TrimSpace(name) != "" && len(name) < longestName && utf8.ValidString(name) && !strings.Contains(name, redactedMark)
}

// Learn returns a registry with an entry for each agent. Every entry is proposed.
func Learn(o *Observed, opts LearnOptions) (*Learnt, error) {
	out := &Learnt{}
	var b strings.Builder
	b.WriteString("# Written by aidr agents learn. Every entry is only proposed, which approves nothing: review it, trim its lists, set owner,\n" +
		"# and change status to active. Without a list the agent is not restricted. aidr agents docs describes every key.\n")
	entries := 0
	for _, a := range o.Within(opts.Within) {
		switch {
		case entryOf(opts.Known, a) != nil:
			out.Registered++
		case a.Source == addressSource:
			out.Addresses++
		case !opts.All && !slices.ContainsFunc(a.Datasets, opts.Calls):
			out.Audit++
		case !fit(a.UID):
			out.Unfit++
		default:
			if entries++; entries == 1 {
				b.WriteString("agents:\n")
			}
			writeEntry(&b, a, &opts)
		}
	}
	if entries == 0 {
		b.WriteString("agents: []\n")
	}
	out.YAML, out.Agents = []byte(b.String()), entries
	switch {
	case entries > site.MaxAgents:
		return out, fmt.Errorf("write the registry: it has %d agents, the limit is %d: learn from fewer days or sources", entries, site.MaxAgents)
	case b.Len() > doc.MaxListSize:
		return out, fmt.Errorf("write the registry: it has %d bytes, the limit is %d: learn from fewer days or sources", b.Len(), doc.MaxListSize)
	}
	if _, problems := site.ParseAgents("learnt", out.YAML); len(problems) > 0 {
		return out, fmt.Errorf("BUG: the learnt registry does not load: %s", problems[0])
	}
	return out, nil
}

// entryOf returns the entry of an agent, by its uid or by an alias, or nil if the registry has neither.
func entryOf(known *site.Agents, a *Agent) *site.Entry {
	if known == nil {
		return nil
	}
	if e := known.Entry(a.UID); e != nil {
		return e
	}
	for _, dataset := range a.Datasets {
		if uid := known.Resolve(dataset, a.UID); uid != "" {
			return known.Entry(uid)
		}
	}
	return nil
}

func writeEntry(b *strings.Builder, a *Agent, opts *LearnOptions) {
	fmt.Fprintf(b, "  - uid: %s\n", quote(a.UID))
	if fit(a.Name) && a.Name != a.UID {
		fmt.Fprintf(b, "    name: %s\n", quote(a.Name))
	}
	b.WriteString("    status: proposed\n")
	var lists strings.Builder
	leftOut := int64(0)
	for _, k := range site.Kinds() {
		if k != site.Scope && !slices.Contains(opts.Without, k) {
			leftOut += a.Omitted[k] + writeList(&lists, k, a, opts.Strict)
		}
	}
	writeObservation(b, a, leftOut)
	b.WriteString(lists.String())
}

// writeObservation writes what is known of the agent as a whole.
func writeObservation(b *strings.Builder, a *Agent, leftOut int64) {
	b.WriteString("    observed:\n")
	text := func(key, value string) {
		if value != "" && utf8.ValidString(value) {
			fmt.Fprintf(b, "      %s: %s\n", key, quote(schema.Truncate(value, site.MaxValue)))
		}
	}
	text("identity", a.Source)
	text("first_seen", a.FirstSeen.String())
	text("last_seen", a.LastSeen.String())
	text("calls", strconv.FormatInt(a.Events, 10))
	text("failures", strconv.FormatInt(a.Failures, 10))
	text("datasets", strings.Join(a.Datasets, ","))
	if a.DelegatedBy > 0 {
		text("delegated_by", strconv.Itoa(a.DelegatedBy))
	}
	if leftOut > 0 {
		text("left_out", strconv.FormatInt(leftOut, 10))
	}
}

// writeList writes the list of a kind, and returns the number of events with values that it does not have.
func writeList(b *strings.Builder, k site.Kind, a *Agent, strict bool) (leftOut int64) {
	var uses []schema.Use
	for _, u := range a.Uses[k] {
		switch {
		case k == site.Network && !isNetwork(u.Name): // the name of a service, which is not compared with networks
		case !fit(u.Name):
			leftOut += u.Count
		default:
			uses = append(uses, u)
		}
	}
	if k == site.Credential && slices.ContainsFunc(uses, a.rotates) {
		for _, u := range uses { // with a list, the next credential of the session would be a finding
			leftOut += u.Count
		}
		return leftOut
	}
	if len(uses) == 0 {
		if strict && leftOut == 0 && k != site.Network && k != site.Credential {
			fmt.Fprintf(b, "    %s: []\n", k.Key())
		}
		return leftOut
	}
	value := "exact"
	if k == site.Network {
		value = "network"
	}
	fmt.Fprintf(b, "    %s: [\n", k.Key())
	for _, u := range uses {
		fmt.Fprintf(b, "      {%s: %s, calls: \"%d\", first_seen: %s, last_seen: %s},\n", value, quote(u.Name), u.Count,
			quote(u.FirstSeen.String()), quote(u.LastSeen.String()))
	}
	b.WriteString("    ]\n")
	return leftOut
}

func isNetwork(text string) bool {
	_, err := netip.ParsePrefix(text)
	return err == nil
}

// rotates reports whether a credential lasts for a session only: the temporary keys of AWS, tokens and sessions.
func (a *Agent) rotates(u schema.Use) bool {
	return strings.HasPrefix(u.Name, "ASIA") || slices.Contains(a.CredentialTypes, "jwt") || slices.Contains(a.CredentialTypes, "session")
}
