package backtest

import (
	"cmp"
	"maps"
	"slices"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// maxAgents is the number of agents that a report names for each rule, those with the most findings first.
const maxAgents = 20

// Report is what rules would have found. Its JSON names are a contract.
type Report struct {
	// Complete is false if the run ended before everything was read, so that all numbers are of the records up to the
	// positions of Partitions.
	Complete   bool        `json:"complete"`
	Input      Input       `json:"input"`
	Partitions []Partition `json:"partitions"`
	Days       []DayTotal  `json:"days"`   // days with events or findings of Options.Set, in order
	Agents     []Agent     `json:"agents"` // the agents with the most findings, of all rules
	Rules      []Rule      `json:"rules"`  // of Options.Set, sorted by id; those without effect included
	// Against are the rules of Options.Against, and Difference is how its findings differ; nil without it.
	Against    []Rule      `json:"against,omitempty"`
	Difference *Difference `json:"difference,omitempty"`
}

// Input counts what was read.
type Input struct {
	Records     int64 `json:"records"`
	Tombstones  int64 `json:"tombstones"`
	Events      int64 `json:"events"`
	Late        int64 `json:"late"`         // events that came too late for rules with State
	Dead        int64 `json:"dead_letters"` // records and elements that could not be decoded
	Skipped     int64 `json:"skipped"`      // elements that describe no activity
	FieldErrors int64 `json:"field_errors"`
	Days        int   `json:"days"` // number of days with events
}

// DayTotal counts the events of a day, and the findings that began on it.
type DayTotal struct {
	Date     string `json:"date"`
	Events   int64  `json:"events"`
	Findings int64  `json:"findings"`
}

// Day is a number on a day, in UTC.
type Day struct {
	Date  string `json:"date"`
	Count int64  `json:"count"`
}

// Partition is how far a partition was read.
type Partition struct {
	Source   string `json:"source"`
	Topic    string `json:"topic"`
	Number   int32  `json:"number"`
	Position int64  `json:"position"`
	End      int64  `json:"end"` // -1 if unknown
	Final    bool   `json:"final"`
}

// Rule is the outcome of one rule.
type Rule struct {
	ID       string          `json:"id"`
	Title    string          `json:"title"`
	Severity schema.Severity `json:"severity"`
	Version  int             `json:"version"`
	Status   rules.Stage     `json:"status"`

	Hits     int64 `json:"hits"`             // events that a condition matched; of a rule over others 0
	Excepted int64 `json:"suppressed"`       // events that an exception removed
	Failed   int64 `json:"errors"`           // events on which a condition could not be evaluated
	Missing  int64 `json:"hits_without_key"` // hits that lack a field of the key
	Findings int64 `json:"findings"`
	Open     int64 `json:"open"`    // findings whose group was not over at the end
	Settled  int64 `json:"settled"` // findings that later records would not have changed
	Shadow   int64 `json:"shadow"`  // findings that are recorded and not delivered
	Late     int64 `json:"late"`    // findings of late events
	Events   int64 `json:"events"`  // the sum of the findings' counts

	PerDay    float64 `json:"per_day"` // findings, over the days with events
	Days      []Day   `json:"days"`    // findings by the day on which they began
	Agents    []Agent `json:"agents"`  // those with the most findings
	NumAgents int     `json:"num_agents"`

	Expected string  `json:"expected,omitempty"` // as the rule's author wrote it
	Verdict  Verdict `json:"verdict"`            // how Findings compare with Expected
}

// Agent is an agent with the number of its findings. UID is "" for findings without an agent.
type Agent struct {
	Tenant   string `json:"tenant,omitempty"`
	UID      string `json:"uid"`
	Findings int64  `json:"findings"`
}

// report makes the report. No engine runs any more.
func (r *run) report(complete bool) *Report {
	left := r.sides[0]
	out := &Report{Complete: complete, Input: left.counts.input(), Partitions: left.counts.partitions()}
	if len(r.sides) > 1 {
		out.Difference = r.difference()
		out.Against = r.sides[1].rules()
	}
	out.Rules = left.rules()
	out.Days, out.Agents = left.totals()
	return out
}

// input returns the counts of what was read.
func (c *counts) input() Input {
	return Input{
		Records: c.Records, Tombstones: c.Tombstones, Events: c.Events, Late: c.Late, Dead: c.Dead, Skipped: c.Skipped,
		FieldErrors: c.FieldErrors, Days: len(c.Days),
	}
}

// totals returns the numbers over all rules, by day and by agent.
func (s *side) totals() (days []DayTotal, agents []Agent) {
	findings, byAgent := map[int64]int64{}, map[agentKey]int64{}
	dates := maps.Clone(s.counts.Days)
	for _, f := range s.sums {
		for d, n := range f.days {
			findings[d] += n
			dates[d] += 0
		}
		for a, n := range f.agents {
			byAgent[a] += n
		}
	}
	days = []DayTotal{}
	for _, d := range slices.Sorted(maps.Keys(dates)) {
		days = append(days, DayTotal{dateOf(d), dates[d], findings[d]})
	}
	return days, agentsOf(byAgent)
}

// agentsOf returns the agents with the most findings.
func agentsOf(byAgent map[agentKey]int64) []Agent {
	out := []Agent{}
	for a, n := range byAgent {
		out = append(out, Agent{a.tenant, a.uid, n})
	}
	slices.SortFunc(out, func(a, b Agent) int {
		return cmp.Or(cmp.Compare(b.Findings, a.Findings), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.UID, b.UID))
	})
	return out[:min(len(out), maxAgents)]
}

// partitions returns the positions, sorted.
func (c *counts) partitions() []Partition {
	out := []Partition{}
	for _, p := range slices.SortedFunc(maps.Keys(c.positions), comparePartitions) {
		at := c.positions[p]
		out = append(out, Partition{p.Source, p.Topic, p.Number, at.next, at.end, at.final})
	}
	return out
}

func comparePartitions(a, b connectors.Partition) int {
	return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number))
}

func daysOf(days map[int64]int64) []Day {
	out := []Day{}
	for _, d := range slices.Sorted(maps.Keys(days)) {
		out = append(out, Day{dateOf(d), days[d]})
	}
	return out
}

// rules returns the outcome of each active rule.
func (s *side) rules() []Rule {
	sums := s.allSums()
	days := len(s.counts.Days)
	out := []Rule{}
	for i, r := range s.set.Rules {
		x := Rule{
			ID: r.ID, Title: r.Title, Severity: r.Severity, Version: r.Version, Status: r.Stage, Expected: r.Expected,
			Days: []Day{}, Agents: []Agent{},
		}
		if c := s.counts.Rules[i]; c != nil {
			x.Hits, x.Excepted, x.Failed, x.Missing = c.Hits, c.Excepted, c.Failed, c.Missing
		}
		if f := sums[r.ID]; f != nil {
			x.fill(f)
		}
		if days > 0 {
			x.PerDay = float64(x.Findings) / float64(days)
		}
		x.Verdict = judge(r.Expected, x.Findings, days, x.NumAgents)
		out = append(out, x)
	}
	return out
}

// fill sets the numbers of findings.
func (x *Rule) fill(f *sum) {
	x.Findings, x.Open, x.Settled, x.Shadow, x.Late, x.Events = f.findings, f.open, f.settled, f.shadow, f.late, f.events
	x.Days, x.NumAgents, x.Agents = daysOf(f.days), len(f.agents), agentsOf(f.agents)
}
