package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// coverageReport is which rules can fire on which datasets. Its JSON names are a contract.
type coverageReport struct {
	Columns []coveredColumn     `json:"columns"`
	Rows    []rules.CoverageRow `json:"rows"` // by tag, one cell for each column
	Rules   []coveredRule       `json:"rules"`
	// Uncovered are the known techniques and risks of the frameworks that no rule has as a tag.
	Uncovered []uncoveredTag `json:"uncovered"`
}

type coveredColumn struct {
	rules.CoverageColumn
	Fires   int      `json:"rules"` // that can fire on events of the dataset
	Off     int      `json:"off"`   // that read it and cannot fire there
	Missing []string `json:"missing_fields,omitempty"`
}

type coveredRule struct {
	ID      string     `json:"rule"`
	Fires   []string   `json:"fires"` // datasets
	Silent  []silentOn `json:"cannot_fire,omitempty"`
	tags    []string
	isIdle  bool
	reasons string
}

// silentOn is a dataset that a rule reads and cannot fire on.
type silentOn struct {
	Source  string   `json:"source,omitempty"`
	Dataset string   `json:"dataset"`
	Missing []string `json:"missing_fields,omitempty"`
	Why     string   `json:"why,omitempty"`
}

type uncoveredTag struct {
	Tag   string `json:"tag"`
	Title string `json:"title"`
}

func rulesCoverageCommand() *cobra.Command {
	var from reading
	var paths []string
	var lists, agents, navigator, domain string
	var asJSON, gaps bool
	var limit int
	var most time.Duration
	c := &cobra.Command{
		Use: "coverage [flags] [FILE...]", Short: "Show what rules cover: tags of taxonomies by dataset, and where a field is missing",
		Long: `coverage prints which risks and techniques of OWASP, MITRE ATLAS and MITRE ATT&CK have rules, and on which datasets these can fire.
With FILEs it reads these, and with --config alone the sources of the configuration, Kafka from the first record on, until
--limit events or for --for; it joins no consumer group and commits nothing. Then the datasets are those that were read, and a
rule that needs a field which none of at least 20 events of a dataset has cannot fire there: the field is named. Without events
the datasets are those that the rules' families name, and every field is assumed.

--navigator writes a layer for the MITRE ATT&CK Navigator (format 4.5; ATLAS has one of its own, with --domain atlas-atlas): the
score of a technique is the number of its rules that can fire. --gaps lists the risks and techniques that no rule has.

` + readingHelp,
		Example: `  aidr rules coverage --config aidr.yaml
  aidr rules coverage --navigator layer.json samples/*.jsonl
  aidr rules coverage --rules my-rules --gaps`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if domain != attackDomain && domain != atlasDomain {
				return usage("--domain %q: write %s or %s", domain, attackDomain, atlasDomain)
			}
			if err := from.load(cmd); err != nil {
				return err
			}
			set, err := loadSet(cmd, from.ruleFiles(paths, lists, agents))
			if err != nil {
				return err
			}
			columns, err := coverageColumns(cmd, &from, files, limit, most)
			if err != nil {
				return err
			}
			all := set.RuleActivities(nil)
			if from.config != "" && len(files) == 0 {
				cfg, err := loadConfig(cmd, from.config)
				if err != nil {
					return err
				}
				if all, err = pipeline.Activities(cfg, set); err != nil {
					return err
				}
			}
			r := newCoverageReport(all, columns)
			if navigator != "" {
				b, err := json.MarshalIndent(r.layer(domain), "", "  ")
				if err != nil {
					return err
				}
				if err := output.Write(navigator, append(b, '\n')); err != nil {
					return err
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), r, false)
			}
			return r.print(cmd.OutOrStdout(), gaps)
		},
	}
	from.flags(c)
	f := c.Flags()
	f.StringArrayVar(&paths, "rules", nil, "folder or file of rules; may be repeated (default: those of --config, or the shipped rules)")
	f.StringVar(&lists, "lists", "", "folder of lists (default: lists/ in the folder of rules)")
	f.StringVar(&agents, "agents", "", "registry of agents (default: agents.yaml in the folder of rules)")
	f.StringVar(&navigator, "navigator", "", "output file of the layer for the ATT&CK Navigator")
	f.StringVar(&domain, "domain", attackDomain, "matrix of the layer: "+attackDomain+" or "+atlasDomain)
	f.BoolVar(&gaps, "gaps", false, "also list what no rule covers")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.IntVar(&limit, "limit", 100_000, "maximum number of events that are read (0: no limit)")
	f.DurationVar(&most, "for", 30*time.Second, "how long the sources of --config are read")
	return c
}

// coverageColumns returns the datasets of the events of files or sources, with the fields that they have; without both, all known
// datasets.
func coverageColumns(cmd *cobra.Command, from *reading, files []string, limit int, most time.Duration) (out []rules.CoverageColumn, err error) {
	type seen struct {
		events int64
		fields schema.FieldSet
	}
	rows, total := map[[2]string]*seen{}, 0
	add := func(source string, e *schema.Event) error {
		key := [2]string{source, e.Text(schema.EventDataset)}
		s := rows[key]
		if s == nil {
			s = &seen{}
			rows[[2]string{source, strings.Clone(key[1])}] = s
		}
		s.events++
		s.fields.Union(e.Present())
		if total++; total == limit {
			return errLimit
		}
		return nil
	}
	switch {
	case len(files) > 0:
		_, err = readEvents(cmd, from, files, add)
	case from.config != "":
		_, err = tapEvents(cmd, from, most, add)
	default:
		mapped, err := from.fieldMaps(cmd)
		if err != nil {
			return nil, err
		}
		var names []string
		for _, datasets := range decode.Families(mapped.Maps()...) {
			names = append(names, datasets...)
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			out = append(out, rules.CoverageColumn{Dataset: name})
		}
		return out, nil
	}
	if err != nil && !errors.Is(err, errLimit) {
		return nil, err
	}
	if total == 0 {
		return nil, errors.New("0 events: nothing was read that is an activity")
	}
	for key, s := range rows {
		fields := s.fields
		out = append(out, rules.CoverageColumn{Source: key[0], Dataset: key[1], Events: s.events, Lacks: func(f schema.Field) bool { return !fields.Has(f) }})
	}
	slices.SortFunc(out, func(a, b rules.CoverageColumn) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Dataset, b.Dataset))
	})
	return out, nil
}

// newCoverageReport returns the coverage of columns by rules.
func newCoverageReport(all []rules.RuleActivity, columns []rules.CoverageColumn) *coverageReport {
	r := &coverageReport{Rows: rules.Coverage(all, columns), Columns: make([]coveredColumn, len(columns)), Uncovered: []uncoveredTag{}}
	for i := range columns {
		r.Columns[i].CoverageColumn = columns[i]
	}
	tagged := map[string]bool{}
	for i, cells := range rules.CoverageByRule(all, columns) {
		a := &all[i]
		if a.Activity == rules.Draft || a.Activity == rules.Disabled {
			continue
		}
		one := coveredRule{ID: a.Rule.ID, Fires: []string{}, tags: a.Rule.Tags, isIdle: a.Activity == rules.Idle, reasons: a.Reason}
		for _, tag := range a.Rule.Tags {
			tagged[tag] = true
		}
		for c, cell := range cells {
			column := &r.Columns[c]
			switch {
			case cell.Fires:
				column.Fires++
				one.Fires = append(one.Fires, column.Dataset)
			case cell.Reads:
				column.Off++
				one.Silent = append(one.Silent, silentOn{column.Source, column.Dataset, cell.Missing, cell.Why})
				for _, f := range cell.Missing {
					if !slices.Contains(column.Missing, f) {
						column.Missing = append(column.Missing, f)
					}
				}
			}
		}
		r.Rules = append(r.Rules, one)
	}
	for i := range r.Columns {
		slices.Sort(r.Columns[i].Missing)
	}
	for _, t := range rules.Tags() {
		if isRisk(t.ID) && !tagged[t.ID] {
			r.Uncovered = append(r.Uncovered, uncoveredTag{t.ID, t.Title})
		}
	}
	return r
}

// isRisk reports whether a tag is one that an agent's rules could have: a risk of OWASP or a technique of ATLAS. Most techniques of
// ATT&CK are about hosts, so that a lack of rules means nothing there.
func isRisk(tag string) bool {
	return strings.HasPrefix(tag, "owasp.") || strings.HasPrefix(tag, "atlas.aml-t") && !strings.HasPrefix(tag, "atlas.aml-ta")
}

// print prints the matrix, the datasets and what rules lack.
func (r *coverageReport) print(out io.Writer, gaps bool) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "TAG\tRULES\tFIRE ON\tCANNOT FIRE ON\tMISSING\tTITLE")
	for i := range r.Rows {
		row := &r.Rows[i]
		var on, off, missing []string
		for c := range row.Cells {
			switch cell := &row.Cells[c]; {
			case cell.Rules > 0:
				on = append(on, r.Columns[c].Dataset)
			case cell.Off > 0:
				off = append(off, r.Columns[c].Dataset)
				missing = append(append(missing, cell.Missing...), cell.Why...)
			}
		}
		slices.Sort(missing)
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", row.Tag, row.Rules, r.names(on), r.names(off), plain(some(slices.Compact(missing))), plain(row.Title))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	fmt.Fprintln(w, "SOURCE\tDATASET\tEVENTS\tRULES FIRE\tCANNOT\tMISSING FIELDS")
	for i := range r.Columns {
		c := &r.Columns[i]
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\n", plain(cmp.Or(c.Source, "-")), plain(c.Dataset), c.Events, c.Fires, c.Off, strings.Join(c.Missing, " "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	nowhere := map[string][]string{} // rules by reason
	for i := range r.Rules {
		if x := &r.Rules[i]; len(x.Fires) == 0 {
			nowhere[x.reason()] = append(nowhere[x.reason()], x.ID)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(nowhere)) {
		fmt.Fprintf(out, "\n%d rules can fire on none of these datasets: %s\n  %s\n", len(nowhere[reason]), plain(reason), plain(strings.Join(nowhere[reason], " ")))
	}
	fmt.Fprintf(out, "\n%d tags have rules; %d risks of OWASP and techniques of ATLAS have none\n", len(r.Rows), len(r.Uncovered))
	if gaps {
		for _, t := range r.Uncovered {
			fmt.Fprintf(w, "%s\t%s\n", t.Tag, t.Title)
		}
	}
	return w.Flush()
}

// reason returns why a rule can fire on no dataset.
func (x *coveredRule) reason() string {
	switch {
	case x.isIdle:
		return x.reasons
	case len(x.Silent) == 0:
		return "none is a dataset of theirs"
	}
	var missing []string
	for _, s := range x.Silent {
		missing = append(append(missing, s.Missing...), s.Why)
	}
	slices.Sort(missing)
	return "no event has " + strings.Join(slices.DeleteFunc(slices.Compact(missing), func(s string) bool { return s == "" }), ", ")
}

// names returns datasets as text: "all" if they are the columns.
func (r *coverageReport) names(datasets []string) string {
	if len(datasets) > shownNames && len(datasets) == len(r.Columns) {
		return fmt.Sprintf("all %d", len(datasets))
	}
	return plain(some(datasets))
}

// shownNames is the number of names in a cell of the table; --json has all.
const shownNames = 3

// some returns the first names, and how many there are more.
func some(names []string) string {
	switch n := len(names); {
	case n == 0:
		return "-"
	case n > shownNames:
		return fmt.Sprintf("%s +%d", strings.Join(names[:shownNames], " "), n-shownNames)
	}
	return strings.Join(names, " ")
}

// The domains of layers, as the Navigators of ATT&CK and of ATLAS name them.
const (
	attackDomain = "enterprise-attack"
	atlasDomain  = "atlas-atlas"
)

// navigatorLayer is a layer of the ATT&CK Navigator, format 4.5.
type navigatorLayer struct {
	Name        string               `json:"name"`
	Versions    map[string]string    `json:"versions"`
	Domain      string               `json:"domain"`
	Description string               `json:"description"`
	Techniques  []navigatorTechnique `json:"techniques"`
	Gradient    struct {
		Colors []string `json:"colors"`
		Min    int      `json:"minValue"`
		Max    int      `json:"maxValue"`
	} `json:"gradient"`
	HideDisabled bool `json:"hideDisabled"`
}

type navigatorTechnique struct {
	ID       string              `json:"techniqueID"`
	Score    int                 `json:"score"`
	Comment  string              `json:"comment"`
	Enabled  bool                `json:"enabled"`
	Expand   bool                `json:"showSubtechniques"`
	Metadata []map[string]string `json:"metadata"`
}

// layer returns the techniques of a domain with their rules.
func (r *coverageReport) layer(domain string) *navigatorLayer {
	l := &navigatorLayer{
		Name: "AIDR rules", Versions: map[string]string{"layer": "4.5", "navigator": "5.1.0"}, Domain: domain, Techniques: []navigatorTechnique{},
		Description: "The score is the number of rules that can fire; those that cannot are in the comment with the fields that no event has.",
	}
	prefix, tactics := "attack.t", "attack.ta"
	if domain == atlasDomain {
		prefix, tactics = "atlas.aml-t", "atlas.aml-ta"
	} else {
		l.Versions["attack"] = "18"
	}
	l.Gradient.Colors, l.Gradient.Max = []string{"#ffffff", "#66b1ff"}, 1
	for i := range r.Rows {
		tag := r.Rows[i].Tag
		if !strings.HasPrefix(tag, prefix) || strings.HasPrefix(tag, tactics) {
			continue
		}
		_, id, _ := strings.Cut(tag, ".")
		t := navigatorTechnique{ID: strings.ToUpper(strings.Replace(id, "aml-", "AML.", 1)), Enabled: true, Expand: strings.Contains(id, "."), Metadata: []map[string]string{}}
		var on, off []string
		for k := range r.Rules {
			x := &r.Rules[k]
			switch {
			case !slices.Contains(x.tags, tag):
			case len(x.Fires) > 0:
				on = append(on, x.ID)
				t.Metadata = append(t.Metadata, map[string]string{"name": x.ID, "value": some(slices.Compact(slices.Sorted(slices.Values(x.Fires))))})
			default:
				off = append(off, x.ID+" ("+x.reason()+")")
			}
		}
		t.Score = len(on)
		t.Comment = strings.Join(on, ", ")
		if len(off) > 0 {
			t.Comment = strings.TrimPrefix(t.Comment+"; cannot fire: "+strings.Join(off, ", "), "; ")
		}
		l.Gradient.Max = max(l.Gradient.Max, t.Score)
		l.Techniques = append(l.Techniques, t)
	}
	return l
}
