package config

import (
	"time"

	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/rules/doc"
)

// Response bounds what rules may do to agents without a person. 0 means the table's default.
type Response struct {
	// What `respond.contain` of rules does: `enforce` (the mode of the rule counts), `monitor` (it is recorded and restrains
	// nothing) or `off`.
	Automation contain.Automation `key:"automation" type:"text"`
	// Largest number of agents that automation restrains at one time. Beyond it, a person is asked.
	MaxContained int `key:"max_contained" unit:"agents"`
	// Largest share of the known agents of a tenant that automation restrains at one time. At least one agent is allowed.
	MaxShare float64 `key:"max_share"`
	// How long a rule leaves an agent alone after its containment of it has ended.
	Cooldown time.Duration `key:"cooldown"`
	// Agents and credentials that are not contained, by their uids; `*` means any text. A person may force it.
	Never []string `key:"never"`
	// How long a proposal of automation waits for a person.
	AskFor time.Duration `key:"ask_for"`
	// How long a held call waits for a person, and its approval for the call.
	ApprovalFor time.Duration `key:"approval_for"`
	// Event time without a successful call after which denials in the logs prove a containment.
	VerifyAfter time.Duration `key:"verify_after"`
	// Event time after the beginning of a containment in which calls do not disprove it: those under way, and what gateways
	// remember.
	Grace time.Duration `key:"grace"`
	// How long the ledger keeps responses that have ended.
	Keep time.Duration `key:"keep"`
}

// Policy returns the policy of the containment table.
func (r *Response) Policy() contain.Policy {
	return contain.Policy{
		Automation: r.Automation, MaxContained: r.MaxContained, MaxShare: r.MaxShare, Cooldown: r.Cooldown, Never: r.Never,
		AskFor: r.AskFor, ApprovalFor: r.ApprovalFor, VerifyAfter: r.VerifyAfter, Grace: r.Grace, Keep: r.Keep,
	}
}

func (r *reader) response(f *doc.Fields) Response {
	out := Response{
		MaxContained: int(integer(f.Get("max_contained"), 0, 1, 1_000_000)),
		Cooldown:     duration(f.Get("cooldown"), 0, time.Second, 30*day),
		AskFor:       duration(f.Get("ask_for"), 0, time.Minute, 30*day),
		ApprovalFor:  duration(f.Get("approval_for"), 0, 10*time.Second, day),
		VerifyAfter:  duration(f.Get("verify_after"), 0, time.Second, day),
		Grace:        duration(f.Get("grace"), 0, time.Second, time.Hour),
		Keep:         duration(f.Get("keep"), 0, time.Hour, 3650*day),
	}
	if a := f.Get("automation"); a != nil {
		out.Automation = contain.Automation(a.Enum(string(contain.AutomationEnforce), string(contain.AutomationMonitor), string(contain.AutomationOff)))
	}
	if s := f.Get("max_share"); s != nil {
		if out.MaxShare = s.Float(); out.MaxShare <= 0 || out.MaxShare > 1 {
			s.Fail("%v is not a share: write a number above 0 and at most 1, such as 0.05", out.MaxShare)
		}
	}
	for _, item := range f.Get("never").Items() {
		out.Never = append(out.Never, r.text(item))
	}
	f.Done()
	return out
}
