package rules

import (
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/match"
	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
)

// Set is all active rules, compiled and indexed; immutable. Everybody reads it.
type Set struct {
	Rules []*Rule // sorted by id; disabled, draft and idle ones are left out
	// All are the rules of all files, sorted by id, whatever their status.
	All []*Rule
	// Idle are rules that would be active, and why they are not.
	Idle []Idle

	raw    [][]string // the paths that conditions number; Event.Raws has this order
	wanted schema.Wanted
	agents *site.Agents // nil: no registry
	index  *match.Index
	roles  []roleOf // what a condition's number in the index means
}

// Idle is a rule that cannot say anything at this site.
type Idle struct {
	Rule *Rule
	Why  string
}

type roleOf struct {
	rule int32
	bit  uint32
}

// newSet indexes the rules that are active.
func newSet(all []*Rule, env *expr.Env, drafts bool, agents *site.Agents) *Set {
	s := &Set{All: all, raw: env.RawPaths(), agents: agents}
	for _, r := range all {
		switch {
		case r.Status == StatusDisabled, r.Status == StatusDraft && !drafts:
		case r.asksRegistry && agents == nil && !drafts:
			s.Idle = append(s.Idle, Idle{r, "it asks agent.*, and there is no registry of agents: name an agents.yaml"})
		default:
			s.Rules = append(s.Rules, r)
		}
	}
	s.build()
	s.wanted = wantedOf(s.Rules, env.RawPaths())
	return s
}

// shown are the fields that every finding shows of an event, beside those that its rule mentions.
var shown = []schema.Field{
	schema.Time, schema.EventID, schema.EventDuration, schema.EventDataset, schema.EventClass, schema.EventAction,
	schema.EventOutcome, schema.OrganizationID, schema.SessionID, schema.AIAgentUID, schema.AIAgentUIDSource,
	schema.AIAgentName, schema.ResourceID, schema.ResourceType, schema.ResourceName,
}

func wantedOf(rules []*Rule, raw [][]string) (w schema.Wanted) {
	w.Raw = raw
	for _, f := range shown {
		w.Fields.Add(f)
	}
	for _, r := range rules {
		for _, m := range r.Mentions {
			if m.Raw < 0 {
				w.Fields.Add(m.Field)
			}
		}
		for _, role := range r.Roles {
			w.Fields.Union(role.Cond.Fields())
		}
		if r.Threshold != nil && r.Threshold.Ratio != nil {
			w.Fields.Union(r.Threshold.Ratio.Of.Fields())
		}
		for _, x := range r.Exceptions {
			w.Fields.Union(x.Cond.Fields())
		}
	}
	return w
}

// Wanted returns what the rules read of an event.
func (s *Set) Wanted() schema.Wanted { return s.wanted }

// Aliases returns what names an agent whom the registry knows by another uid in records of the dataset ("" for nobody);
// nil where the registry has no aliases. Events must go through it before they are matched.
func (s *Set) Aliases() func(dataset, uid string) string {
	if s.agents == nil || !s.agents.HasAliases() {
		return nil
	}
	return s.agents.Resolve
}

// Plan returns how the index finds a role of a rule: by which witness, or why there is none.
func (s *Set) Plan(rule, role int) match.Plan {
	for n, of := range s.roles {
		if int(of.rule) == rule && of.bit == 1<<role {
			return s.index.Plan(n)
		}
	}
	return match.Plan{}
}

// Scratch is what one worker needs to match, and what it counts meanwhile; it is not shared. The worker reads the
// counters and may set them to 0.
type Scratch struct {
	Expr *expr.Scratch
	// Errors counts, for each place in Set.Rules, events on which a condition could not be evaluated: they are no match.
	Errors []uint64
	// Excepted counts, for each place in Set.Rules, events that an exception took away.
	Excepted []uint64

	match *match.Scratch
	held  []int32 // numbers of conditions that hold, used again and again
}

// NewScratch returns a worker's scratch. It is good for this Set only.
func (s *Set) NewScratch() *Scratch {
	m := match.NewScratch()
	return &Scratch{Expr: m.Expr, match: m, Errors: make([]uint64, len(s.Rules)), Excepted: make([]uint64, len(s.Rules))}
}

// Hit says that an event matters to a rule.
type Hit struct {
	Rule  int    // place in Set.Rules
	Roles uint32 // bit i: Roles[i] holds
}

// Match appends the rules to which the event matters, in order of Rule: conditions, datasets and exceptions are all
// applied. It does not look at keys. Errors of conditions are counted in scratch. It is on the hot path: it allocates
// nothing once hits and scratch have grown to their size.
func (s *Set) Match(e *schema.Event, sc *Scratch, hits []Hit) []Hit {
	sc.held = s.index.Eval(e, sc.match, sc.held[:0])
	for i, last := 0, int32(-1); i < len(sc.match.Failed); i++ {
		if rule := s.roles[sc.match.Failed[i]].rule; rule != last {
			sc.Errors[rule]++
			last = rule
		}
	}
	for i := 0; i < len(sc.held); {
		hit := Hit{Rule: int(s.roles[sc.held[i]].rule)}
		for ; i < len(sc.held) && int(s.roles[sc.held[i]].rule) == hit.Rule; i++ {
			hit.Roles |= s.roles[sc.held[i]].bit
		}
		if len(s.Rules[hit.Rule].Exceptions) > 0 {
			hit.Roles = s.except(e, sc, hit)
		}
		if hit.Roles != 0 {
			hits = append(hits, hit)
		}
	}
	return hits
}

// except returns the roles that the rule's exceptions leave. An exception that cannot be evaluated takes nothing away:
// better one finding too many.
func (s *Set) except(e *schema.Event, sc *Scratch, hit Hit) uint32 {
	r := s.Rules[hit.Rule]
	at, _ := e.End()
	for i := range r.Exceptions {
		x := &r.Exceptions[i]
		if at >= x.Until {
			continue
		}
		yes, err := x.Cond.Eval(e, sc.Expr)
		if err != nil {
			sc.Errors[hit.Rule]++
			continue
		}
		if !yes {
			continue
		}
		left := hit.Roles & r.exceptedRoles()
		if left != hit.Roles {
			sc.Excepted[hit.Rule]++
		}
		return left
	}
	return hit.Roles
}

// exceptedRoles are the roles that no exception takes away.
func (r *Rule) exceptedRoles() (bits uint32) {
	for i := range r.Roles {
		if r.Roles[i].Excepted {
			bits |= 1 << i
		}
	}
	return bits
}
