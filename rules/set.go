package rules

import (
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/match"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
)

// Set holds the compiled rules of all files, with an index over the conditions of the active ones. It is immutable and
// safe for concurrent use.
type Set struct {
	// Rules are the active rules, sorted by id, then the built-in ones. Disabled rules and drafts are not active, and rules that read agent.* are
	// not active at a site without a registry.
	Rules []*Rule
	// All are the rules of all files, sorted by id, whatever their stage. RuleActivities returns the activity of each.
	All []*Rule

	env    *expr.Env  // of the conditions, for Explain
	raw    [][]string // the raw paths that conditions read, in the order of Event.Raws
	wanted schema.Wanted
	agents *site.Agents // nil: no registry
	// replaced reports that agents takes the place of the registry that the conditions were compiled with.
	replaced bool
	index    atomic.Pointer[match.Index]
	roles    []roleRef // by number of the condition in the index

	capabilities *site.Capabilities
	defaults     *Set // with the default parameters, nil if the site sets none
}

// roleRef refers to a role of a rule.
type roleRef struct {
	rule int32  // index into Set.Rules
	bit  uint32 // 1 << index into Rule.Roles
}

// newSet returns the Set of the rules and indexes those that are active. last is a Set with conditions of the same
// environment, or nil.
func newSet(all []*Rule, env *expr.Env, o Options, agents *site.Agents, last *Set) *Set {
	s := &Set{All: all, env: env, raw: env.RawPaths(), agents: agents}
	top := 0
	for _, r := range all {
		switch {
		case r.Stage == StageDisabled, r.Stage == StageDraft && !o.Drafts:
		case r.needsRegistry() && agents == nil && !o.Drafts:
		default:
			s.Rules = append(s.Rules, r)
			top = max(top, r.Level)
		}
	}
	if o.BuiltIn {
		s.Rules = append(s.Rules, builtins(env, top)...)
	}
	s.build(last)
	s.wanted = wantedOf(s.Rules, env.RawPaths())
	return s
}

// Capabilities returns the capabilities of tools, those of the site and the shipped ones.
func (s *Set) Capabilities() *site.Capabilities { return s.capabilities }

// Registration returns the owner of an agent by the registry, "" if it names none, and whether the registry has the agent.
func (s *Set) Registration(agent string) (owner string, registered bool) {
	if s.agents == nil {
		return "", false
	}
	return s.agents.Attribute(agent, "owner").Text, s.agents.Attribute(agent, "registered").Bool()
}

// NumActive returns the number of active rules of files, without the built-in ones.
func (s *Set) NumActive() (n int) {
	for _, r := range s.Rules {
		if !strings.HasPrefix(r.ID, builtinPrefix) {
			n++
		}
	}
	return n
}

// Activity is the effect that a rule has at a site.
type Activity string

// The activities of rules.
const (
	Active   Activity = "active" // its findings are delivered; a block feeds the rules over it
	Shadow   Activity = "shadow" // its findings are recorded
	Idle     Activity = "idle"   // it would be active or shadow, but it needs something that the site lacks
	Draft    Activity = "draft"
	Disabled Activity = "disabled"
)

// Activities returns all activities.
func Activities() []Activity { return []Activity{Active, Shadow, Idle, Draft, Disabled} }

// RuleActivity is the activity of one rule.
type RuleActivity struct {
	Rule     *Rule
	Activity Activity
	Reason   string // why the rule is idle
	Remedy   string // how to make it active, "" if that depends on Datasets
	// Datasets are the datasets of which the rule needs at least one, and which no source carries; nil if the rule is not
	// idle for that reason.
	Datasets []string
}

// RuleActivities returns the activity of each rule of All. carries reports whether a source can carry a dataset; if it
// is nil, sources are not considered. Drafts are never active here, even if the Set was loaded with Options.Drafts.
func (s *Set) RuleActivities(carries func(dataset string) bool) []RuleActivity {
	out := make([]RuleActivity, 0, len(s.All))
	works := map[string]bool{} // by id of the rules so far: the rule can trigger
	highest := 0
	for _, r := range s.All {
		a := RuleActivity{Rule: r, Activity: Active}
		switch r.Stage {
		case StageDraft:
			a.Activity = Draft
		case StageDisabled:
			a.Activity = Disabled
		case StageShadow:
			a.Activity = Shadow
			fallthrough
		default:
			s.idle(&a, carries)
		}
		works[r.ID] = a.Activity == Active || a.Activity == Shadow
		highest = max(highest, r.Level)
		out = append(out, a)
	}
	for level := 1; level <= highest; level++ {
		for i := range out {
			if a := &out[i]; a.Rule.Level == level && works[a.Rule.ID] {
				a.unfed(works)
				works[a.Rule.ID] = a.Activity != Idle
			}
		}
	}
	return out
}

// idle makes the rule idle if the site lacks something that its rule needs.
func (s *Set) idle(a *RuleActivity, carries func(string) bool) {
	r := a.Rule
	if missing := r.missingDatasets(carries); missing != nil {
		a.Activity, a.Datasets = Idle, missing
		a.Reason = "no source carries " + alternatives(missing)
		if slices.Equal(missing, r.Datasets) { // a family is easier to read than its datasets
			a.Reason = "no source carries " + alternatives(r.DatasetsAsWritten)
		}
		return
	}
	if r.needsRegistry() && s.agents == nil {
		a.Activity, a.Reason = Idle, "the rule reads agent.*, and there is no registry of agents"
		a.Remedy = "write the agents of your site into " + AgentsFile + " in the folder of rules, or name the file in `agents`"
		return
	}
	if lists := r.emptyLists(); lists != nil {
		a.Activity, a.Reason = Idle, "the rule needs an element of the list "+lists[0]+", which is empty"
		a.Remedy = "add values to the list"
	}
}

// alternatives returns the names as a text: "a, b or c".
func alternatives(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// neededRoles returns the roles that every finding of the rule needs.
func (r *Rule) neededRoles() (roles []Role) {
	for _, role := range r.Roles {
		if !role.Excepted && !role.Optional {
			roles = append(roles, role)
		}
	}
	return roles
}

// missingDatasets returns datasets of which the rule needs one, if carries is true for none of them; otherwise nil. They are
// the rule's datasets, or those that the condition of a role names.
func (r *Rule) missingDatasets(carries func(string) bool) []string {
	if carries == nil {
		return nil
	}
	for _, role := range r.neededRoles() {
		for _, w := range append([]predicate.Witness{{Field: schema.EventDataset}}, role.Cond.Witnesses()...) {
			if w.Field != schema.EventDataset || w.List != nil {
				continue
			}
			needed := common(w.Values, r.Datasets)
			if len(needed) > 0 && !slices.ContainsFunc(needed, carries) {
				return needed
			}
		}
	}
	return nil
}

// common returns the elements of a that are also in b. If a or b is empty, it returns the other.
func common(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	return slices.DeleteFunc(slices.Clone(a), func(x string) bool { return !slices.Contains(b, x) })
}

// emptyLists returns the names of empty lists that every finding of the rule needs to have a value; otherwise nil.
func (r *Rule) emptyLists() []string {
	for _, role := range r.neededRoles() {
		if lists := role.Cond.EmptyLists(); lists != nil {
			return lists
		}
	}
	if c := r.clause(); c != nil {
		for _, cond := range c.conditions() {
			if lists := cond.EmptyLists(); lists != nil {
				return lists
			}
		}
	}
	return nil
}

// build indexes the conditions of the active rules. last is a Set with an index to begin with, or nil.
func (s *Set) build(last *Set) {
	conds, datasets := s.conditions()
	for i, r := range s.Rules {
		if r.Over != nil {
			continue // it matches triggers, and no events
		}
		for bit := range r.Roles {
			s.roles = append(s.roles, roleRef{int32(i), 1 << bit})
		}
	}
	if last == nil {
		s.index.Store(match.Build(conds, datasets))
	} else {
		s.index.Store(last.index.Load().Update(conds, datasets))
	}
}

// conditions returns the conditions of the active rules on events, and the datasets of each.
func (s *Set) conditions() (conds []*predicate.Cond, datasets [][]string) {
	for _, r := range s.Rules {
		if r.Over != nil {
			continue
		}
		for _, role := range r.Roles {
			conds = append(conds, role.Cond)
			datasets = append(datasets, r.Datasets)
		}
	}
	return conds, datasets
}

// Compact replaces an index in layers, which a load with Kept makes if little has changed, by one that is faster and has the
// same results. It may run while other goroutines use the Set.
func (s *Set) Compact() {
	if s.index.Load().IsLayered() {
		s.index.Store(match.Build(s.conditions()))
	}
}

// SharesSite reports whether both Sets were loaded with the same Kept and with the same lists, registry and families, so that
// rules with the same text mean the same in both.
func (s *Set) SharesSite(o *Set) bool { return s.env == o.env }

// Only returns a Set of r, one of s.All, and of the rules that feed it, all of them active whatever their stages. The
// tests of r run against it. r makes findings even if it is a block. Raw paths keep the order that they have in s.
func (s *Set) Only(r *Rule) *Set {
	if s.defaults != nil {
		for _, d := range s.defaults.All {
			if d.ID == r.ID {
				return s.defaults.Only(d)
			}
		}
	}
	only := *r
	only.Stage = StageStable
	o := &Set{Rules: append([]*Rule{&only}, feeding(r, nil)...), wanted: s.wanted, env: s.env}
	slices.SortFunc(o.Rules, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	o.All = o.Rules
	o.build(nil)
	return o
}

// WithAgents returns the Set with another registry, that of a test.
func (s *Set) WithAgents(a *site.Agents) *Set {
	o := &Set{Rules: s.Rules, All: s.All, env: s.env, raw: s.raw, wanted: s.wanted, agents: a, replaced: true, roles: s.roles}
	o.index.Store(s.index.Load())
	return o
}

// feeding appends the rules that feed r, directly or through others, as blocks.
func feeding(r *Rule, to []*Rule) []*Rule {
	if r.Over == nil {
		return to
	}
	for _, f := range r.Over.Feeding {
		if slices.ContainsFunc(to, func(o *Rule) bool { return o.ID == f.ID }) {
			continue
		}
		block := *f
		block.Stage = StageBlock
		to = feeding(f, append(to, &block))
	}
	return to
}

// alwaysShown are the fields that every finding shows of an event, in addition to those that its rule mentions.
var alwaysShown = []schema.Field{
	schema.Time, schema.EventID, schema.EventDuration, schema.EventDataset, schema.EventClass, schema.EventAction,
	schema.EventOutcome, schema.OrganizationID, schema.SessionID, schema.AIAgentUID, schema.AIAgentUIDSource,
	schema.AIAgentName, schema.ResourceID, schema.ResourceType, schema.ResourceName,
	schema.GenAIToolName, schema.MCPServerName, schema.URLDomain, schema.URLPath, schema.ServiceTargetName, schema.CredentialUID,
	schema.SourceIP, schema.AIAgentWorkflow,
}

// wantedOf returns the fields and raw paths that the rules, and the findings that they make, read of an event.
func wantedOf(rules []*Rule, raw [][]string) (w schema.Wanted) {
	w.Raw = raw
	for _, f := range alwaysShown {
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
		if c := r.clause(); c != nil {
			for _, cond := range c.conditions() {
				w.Fields.Union(cond.Fields())
			}
		}
		for _, x := range r.Exceptions {
			w.Fields.Union(x.Cond.Fields())
		}
	}
	return w
}

// Wanted returns the fields and raw paths that the rules read of an event. The decoder must extract them.
func (s *Set) Wanted() schema.Wanted { return s.wanted }

// Aliases returns a function that returns the uid of the agent that has the given uid as an alias in records of the
// dataset, or "" if no agent has. It returns nil if the registry has no aliases. ai_agent.uid of every event must be
// replaced in this way before the event is matched.
func (s *Set) Aliases() func(dataset, uid string) string {
	if s.agents == nil || !s.agents.HasAliases() {
		return nil
	}
	return s.agents.Resolve
}

// AliasesOf returns the other uids of a registered agent, sorted.
func (s *Set) AliasesOf(uid string) []string {
	if s.agents == nil {
		return nil
	}
	return s.agents.AliasesOf(uid)
}

// NumAgents returns the number of registered agents.
func (s *Set) NumAgents() int {
	if s.agents == nil {
		return 0
	}
	return s.agents.Len()
}

// Scratch is the working memory of one worker, with the counters of Match. It must not be shared. The worker may read the
// counters between calls, and set them to 0.
type Scratch struct {
	Predicate *predicate.Scratch
	// Errors counts, for each of Set.Rules, the events on which a condition could not be evaluated. Such a condition does
	// not hold.
	Errors []uint64
	// Excepted counts, for each of Set.Rules, the events that an exception removed.
	Excepted []uint64
	// Counted are the rules, as indexes into Set.Rules, of which Errors or Excepted may not be 0. It is to be emptied when
	// the counters are set to 0.
	Counted []int

	match *match.Scratch
	held  []int32 // the numbers of the conditions that hold; reused for every event
}

// NewScratch returns the working memory for one worker. It can be used with this Set only.
func (s *Set) NewScratch() *Scratch {
	m := match.NewScratch()
	if s.replaced {
		m.Predicate.Agents = s.agents
	}
	return &Scratch{Predicate: m.Predicate, match: m, Errors: make([]uint64, len(s.Rules)), Excepted: make([]uint64, len(s.Rules))}
}

// Candidates returns the number of conditions that Match evaluated so far, of all events. The index excluded the others.
func (sc *Scratch) Candidates() uint64 { return sc.match.Candidates }

// Hit is a rule that an event matches.
type Hit struct {
	Rule  int    // index into Set.Rules
	Roles uint32 // bit i is set if the event has role Rule.Roles[i]
}

// Match appends the rules that the event matches to hits, in the order of Rules. It applies conditions, datasets and
// exceptions, but does not check whether the event has the fields of the key. Conditions that fail are counted in sc.
// Match is called for every event: it does not allocate once hits and sc have reached their size.
func (s *Set) Match(e *schema.Event, sc *Scratch, hits []Hit) []Hit {
	sc.held = s.index.Load().Eval(e, sc.match, sc.held[:0])
	for i, last := 0, int32(-1); i < len(sc.match.Failed); i++ {
		if rule := s.roles[sc.match.Failed[i]].rule; rule != last {
			sc.count(int(rule))
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

// except returns the roles of the hit that remain after the rule's exceptions, and counts what they did.
func (s *Set) except(e *schema.Event, sc *Scratch, hit Hit) uint32 {
	kept, failed := s.Rules[hit.Rule].Except(e, sc.Predicate, hit.Roles)
	if failed > 0 || kept != hit.Roles {
		sc.count(hit.Rule)
	}
	sc.Errors[hit.Rule] += uint64(failed)
	if kept != hit.Roles {
		sc.Excepted[hit.Rule]++
	}
	return kept
}

// count adds a rule to Counted.
func (sc *Scratch) count(rule int) {
	if sc.Errors[rule] == 0 && sc.Excepted[rule] == 0 {
		sc.Counted = append(sc.Counted, rule)
	}
}

// Trace makes Match record the conditions that it evaluates, for Traced, or ends that.
func (sc *Scratch) Trace(on bool) { sc.match.Traces, sc.match.Traced = on, sc.match.Traced[:0] }

// Traced returns the number of roles whose conditions Match has evaluated since Trace. A role counts once for each event.
func (sc *Scratch) Traced() int { return len(sc.match.Traced) }

// TracedRole returns number n of these roles: the index into Rules, and the role's condition.
func (s *Set) TracedRole(sc *Scratch, n int) (rule int, cond *predicate.Cond) {
	ref := s.roles[sc.match.Traced[n]]
	r := s.Rules[ref.rule]
	return int(ref.rule), r.Roles[bits.TrailingZeros32(ref.bit)].Cond
}

// Except returns the roles that remain after the rule's exceptions, and the number of exceptions that cannot be evaluated.
// Such an exception removes nothing, because a finding too many is better than one too few.
func (r *Rule) Except(e *schema.Event, s *predicate.Scratch, roles uint32) (kept uint32, failed int) {
	end, _ := e.End()
	for i := range r.Exceptions {
		x := &r.Exceptions[i]
		if end >= x.Until {
			continue
		}
		switch applies, err := x.Cond.Eval(e, s); {
		case err != nil:
			failed++
		case applies:
			return roles & r.keptRoles(), failed
		}
	}
	return roles, failed
}

// keptRoles returns the roles that exceptions do not apply to.
func (r *Rule) keptRoles() (bits uint32) {
	for i := range r.Roles {
		if r.Roles[i].Excepted {
			bits |= 1 << i
		}
	}
	return bits
}
