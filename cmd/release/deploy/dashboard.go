package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	//lint:ignore SA1019 Grafana 10 and 11 import this model; the second one needs Grafana 12.
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// board is a dashboard: rows of panels.
type board struct {
	uid, title, description string
	rows                    []row
}

// row is a titled row of panels.
type row struct {
	title  string
	panels []panel
}

// panel is a time series of one or more queries in PromQL. $instance is a variable of the dashboard.
type panel struct {
	title, description string
	unit               string // as Grafana names it, such as "s", "bytes", "reqps"
	queries            []query
}

// query is an expression and the legend of its series.
type query struct{ expr, legend string }

const (
	panelHeight = 8  // of the grid
	panelWidth  = 12 // of its 24 columns
)

// Dashboards returns the dashboards as JSON for Grafana, by file name. They read Prometheus and depend on nothing else.
func Dashboards() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, b := range boards {
		model, err := b.build()
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.uid, err)
		}
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(model); err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.uid, err)
		}
		files[b.uid+".json"] = text.Bytes()
	}
	return files, nil
}

func (b board) build() (dashboard.Dashboard, error) {
	source := common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}
	d := dashboard.NewDashboardBuilder(b.title).Uid(b.uid).Description(b.description).Tags([]string{"aidr"}).
		Readonly().Refresh("30s").Time("now-3h", "now").Timezone("utc").Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus")).
		WithVariable(dashboard.NewQueryVariableBuilder("instance").Label("Instance").Datasource(source).
			Query(dashboard.StringOrMap{String: cog.ToPtr("label_values(aidr_build_info, instance)")}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).IncludeAll(true).Multi(true).AllValue(".*"))
	for _, r := range b.rows {
		d.WithRow(dashboard.NewRowBuilder(r.title))
		for _, p := range r.panels {
			d.WithPanel(p.build(source))
		}
	}
	return d.Build()
}

func (p panel) build(source common.DataSourceRef) *timeseries.PanelBuilder {
	b := timeseries.NewPanelBuilder().Title(p.title).Description(p.description).Unit(p.unit).Datasource(source).
		Height(panelHeight).Span(panelWidth).Min(0).LineWidth(1).FillOpacity(10)
	for _, q := range p.queries {
		b.WithTarget(prometheus.NewDataqueryBuilder().Expr(q.expr).LegendFormat(q.legend).Datasource(source).Range())
	}
	return b
}
