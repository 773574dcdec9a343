package rules

import (
	"maps"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// CoverageColumn is a dataset of a source, for Coverage.
type CoverageColumn struct {
	Source  string `json:"source"`
	Dataset string `json:"dataset"`
	Events  int64  `json:"events"` // number of events of which the fields are known
	// Lacks reports whether none of the events had a field. nil: nothing is known.
	Lacks func(schema.Field) bool `json:"-"`
}

// minSampled is the number of events of a dataset from which on a field that none of them has counts as missing.
const minSampled = 20

// CoverageRow is a tag with its cells, one for each column.
type CoverageRow struct {
	Tag       string         `json:"tag"`
	Title     string         `json:"title"`
	Framework string         `json:"framework"` // the part before the first dot: owasp, atlas, attack, mitre-cwe or x
	Rules     int            `json:"rules"`     // active and shadow rules with the tag
	Cells     []CoverageCell `json:"cells"`
}

// CoverageCell is the coverage of a tag in a dataset of a source.
type CoverageCell struct {
	Rules int `json:"rules"` // rules with the tag that can fire on events of the dataset
	Off   int `json:"off"`   // rules with the tag that read the dataset and cannot fire there
	// If none can fire: the fields that the events of the dataset lack, and what the site lacks.
	Missing []string `json:"missing_fields,omitempty"`
	Why     []string `json:"why,omitempty"`
}

// Coverage returns which rules can fire on which datasets, by tag: the tags in the order of the table of known tags, then those of
// the site. A rule can fire on a dataset if it is active or shadow, reads the dataset, and the events of the dataset have the fields
// that one of its needed roles cannot do without. A rule over others can fire where one that feeds it can.
func Coverage(all []RuleActivity, columns []CoverageColumn) []CoverageRow {
	byTag := map[string][]int{}
	verdicts := make([][]cellVerdict, len(all)) // by rule and column
	at := map[string]int{}
	for i := range all {
		at[all[i].Rule.ID] = i
	}
	for i := range all {
		verdicts[i] = verdictsOf(all, i, columns, at)
		for _, tag := range all[i].Rule.Tags {
			byTag[tag] = append(byTag[tag], i)
		}
	}
	rows := []CoverageRow{}
	row := func(tag, title string) {
		framework, _, _ := strings.Cut(tag, ".")
		r := CoverageRow{Tag: tag, Title: title, Framework: framework, Cells: make([]CoverageCell, len(columns))}
		for _, i := range byTag[tag] {
			if a := all[i].Activity; a == Draft || a == Disabled {
				continue
			}
			if all[i].Activity != Idle {
				r.Rules++
			}
			for c := range columns {
				r.Cells[c].add(&verdicts[i][c])
			}
		}
		if len(byTag[tag]) > 0 {
			rows = append(rows, r)
			delete(byTag, tag)
		}
	}
	for _, t := range Tags() {
		row(t.ID, t.Title)
	}
	for _, tag := range slices.Sorted(maps.Keys(byTag)) {
		row(tag, "")
	}
	return rows
}

// RuleCell is whether a rule can fire on events of a dataset.
type RuleCell struct {
	Reads   bool     // the rule reads the dataset
	Fires   bool     // and can fire there
	Missing []string // if not: the fields that it needs and that the events of the dataset lack
	Why     string   // or what the site lacks
}

// CoverageByRule returns for each rule its cells, one for each column. Those of drafts and disabled rules are empty.
func CoverageByRule(all []RuleActivity, columns []CoverageColumn) [][]RuleCell {
	at := map[string]int{}
	for i := range all {
		at[all[i].Rule.ID] = i
	}
	out := make([][]RuleCell, len(all))
	for i := range all {
		out[i] = make([]RuleCell, len(columns))
		if a := all[i].Activity; a == Draft || a == Disabled {
			continue
		}
		for c, v := range verdictsOf(all, i, columns, at) {
			if out[i][c] = (RuleCell{Reads: v.reads, Fires: v.fires}); !v.fires {
				out[i][c].Missing, out[i][c].Why = v.missing, v.why
			}
		}
	}
	return out
}

// cellVerdict is whether one rule can fire on one dataset.
type cellVerdict struct {
	reads, fires bool
	missing      []string // fields
	why          string   // what the site lacks
}

func (c *CoverageCell) add(v *cellVerdict) {
	switch {
	case v.fires:
		c.Rules++
		c.Why, c.Missing = nil, nil
	case v.reads:
		if c.Off++; c.Rules > 0 {
			return
		}
		for _, f := range v.missing {
			if !slices.Contains(c.Missing, f) {
				c.Missing = append(c.Missing, f)
			}
		}
		if v.why != "" && !slices.Contains(c.Why, v.why) && len(c.Why) < maxCellReasons {
			c.Why = append(c.Why, v.why)
		}
	}
}

// maxCellReasons is the number of different reasons of a cell.
const maxCellReasons = 3

// verdictsOf returns the verdict of a rule for each column.
func verdictsOf(all []RuleActivity, i int, columns []CoverageColumn, at map[string]int) []cellVerdict {
	a := &all[i]
	out := make([]cellVerdict, len(columns))
	for c := range columns {
		v := &out[c]
		rules := []*Rule{a.Rule}
		if a.Rule.Over != nil {
			rules = a.Rule.leaves()
		}
		for _, r := range rules {
			feeding := &all[at[r.ID]]
			one := r.firesOn(&columns[c])
			if one.reads && one.fires && feeding.Activity == Idle {
				one.fires, one.why = false, feeding.Reason
			}
			v.reads = v.reads || one.reads
			v.fires = v.fires || one.fires
			if v.missing == nil && v.why == "" {
				v.missing, v.why = one.missing, one.why
			}
		}
		if v.fires && a.Activity == Idle {
			v.fires, v.why = false, a.Reason
		}
	}
	return out
}

// leaves returns the rules on events that feed a rule over others, directly or not.
func (r *Rule) leaves() (out []*Rule) {
	seen := map[*Rule]bool{}
	var walk func(r *Rule)
	walk = func(r *Rule) {
		if seen[r] {
			return
		}
		seen[r] = true
		if r.Over == nil {
			out = append(out, r)
			return
		}
		for _, f := range r.Over.Feeding {
			walk(f)
		}
	}
	walk(r)
	return out
}

// firesOn returns whether events of a dataset can have one of the needed roles of a rule on events.
func (r *Rule) firesOn(c *CoverageColumn) (v cellVerdict) {
	if len(r.Datasets) > 0 && !slices.Contains(r.Datasets, c.Dataset) || r.aboutAIDR() && !schema.IsInternal(c.Dataset) {
		return v
	}
	for _, role := range r.neededRoles() {
		if !role.readsDataset(c.Dataset) {
			continue
		}
		v.reads = true
		missing := r.missingFields(&role, c)
		if len(missing) == 0 {
			return cellVerdict{reads: true, fires: true}
		}
		if v.missing == nil {
			v.missing = missing
		}
	}
	return v
}

// readsDataset reports whether the condition of a role can hold on events of a dataset.
func (x *Role) readsDataset(dataset string) bool {
	if x.Cond == nil {
		return true
	}
	for _, w := range x.Cond.Witnesses() {
		if w.Field == schema.EventDataset && w.List == nil && len(w.Values) > 0 && !slices.Contains(w.Values, dataset) {
			return false
		}
	}
	return true
}

// missingFields returns the names of the fields that a role needs and that no event of the column had.
func (r *Rule) missingFields(x *Role, c *CoverageColumn) (missing []string) {
	if c.Lacks == nil || c.Events < minSampled {
		return nil
	}
	need := func(f schema.Field) {
		if f != schema.EventDataset && c.Lacks(f) && !slices.Contains(missing, f.String()) {
			missing = append(missing, f.String())
		}
	}
	for i := range x.Key {
		if o := &x.Key[i]; !r.KeyOptional && o.Raw < 0 && o.Text == nil {
			need(o.Field)
		}
	}
	if x.Cond != nil {
		for _, w := range x.Cond.Witnesses() {
			if w.List != nil || len(w.Values) > 0 && !slices.Contains(w.Values, "") {
				need(w.Field)
			}
		}
	}
	return missing
}
