package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/rules"
)

// coverageBody is the content of the page coverage.
type coverageBody struct {
	api.Coverage
	Frameworks []framework
	Only       string // the framework that is shown, "" for all
	Names      []string
}

// framework is a taxonomy with its rows.
type framework struct {
	Name string
	Rows []coverageRow
}

// coverageRow is a row of the matrix as it is drawn.
type coverageRow struct {
	rules.CoverageRow
	Cells []coverageCell
}

// coverageCell is a cell of the matrix as it is drawn.
type coverageCell struct {
	Text, Class, Title string
}

// coverage shows which rules can fire on which datasets of which sources, by taxonomy.
func (q *request) coverage() error {
	b := coverageBody{Only: string([]rune(q.value("type")))} // as JSON has it
	if err := q.get("/v1/rules/coverage", nil, &b.Coverage); err != nil {
		return err
	}
	for _, row := range b.Rows {
		if !slices.Contains(b.Names, row.Framework) {
			b.Names = append(b.Names, row.Framework)
		}
		if b.Only != "" && b.Only != row.Framework {
			continue
		}
		i := slices.IndexFunc(b.Frameworks, func(f framework) bool { return f.Name == row.Framework })
		if i < 0 {
			i = len(b.Frameworks)
			b.Frameworks = append(b.Frameworks, framework{Name: row.Framework})
		}
		r := coverageRow{CoverageRow: row}
		for c := range row.Cells {
			r.Cells = append(r.Cells, cellOf(&row.Cells[c]))
		}
		b.Frameworks[i].Rows = append(b.Frameworks[i].Rows, r)
	}
	return q.show(page{
		Name: "coverage", Nav: "coverage", Title: "Coverage", Body: b,
		Help: &help{
			From: "The rules that run now with their tags, and the fields that a sample of the events of each dataset had since this process started. " +
				"A cell counts the active and shadow rules with the tag that can fire on the dataset. A grey cell has rules that read the dataset, of which none can fire: " +
				"no event of the sample has a field that they cannot do without, or the site lacks something.",
			Command: []string{"aidr rules coverage --config FILE", "aidr formats coverage --config FILE"},
			SQL: "SELECT arrayJoin(tags) AS tag, count() AS rules FROM aidr.v_rules WHERE stage IN ('stable', 'shadow', 'block') GROUP BY tag ORDER BY tag;\n" +
				"SELECT * FROM aidr.v_source_quality WHERE hour >= now() - INTERVAL 1 DAY ORDER BY source, dataset, hour",
		},
	})
}

// Levels of a cell: from this number of rules on, the next colour.
var cellLevels = [...]int{1, 5, 15}

// cellOf returns a cell as it is drawn.
func cellOf(c *rules.CoverageCell) coverageCell {
	switch {
	case c.Rules > 0:
		class := 0
		for _, n := range cellLevels {
			if c.Rules >= n {
				class++
			}
		}
		return coverageCell{fmt.Sprint(c.Rules), fmt.Sprintf("cover%d", class), plural(c.Rules, "rule") + " can fire"}
	case c.Off > 0:
		why := ""
		if len(c.Missing) > 0 {
			why = "no event has " + strings.Join(c.Missing, ", ")
		}
		why = strings.Join(append(slices.DeleteFunc([]string{why}, func(s string) bool { return s == "" }), c.Why...), "; ")
		return coverageCell{"0", "cell-off", Plain(plural(c.Off, "rule") + " cannot fire: " + cmp.Or(why, "its reason is unknown"))}
	}
	return coverageCell{"", "cell0", "no rule reads this dataset for it"}
}
