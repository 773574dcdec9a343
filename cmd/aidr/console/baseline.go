package console

import (
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine/fold"
)

// maxBaselines is the number of rules with a baseline that are asked for one agent.
const maxBaselines = 30

// baselineRow is the baseline of one rule for an agent, with its band.
type baselineRow struct {
	Rule, Title string
	*fold.BaselineView
	Value string // of the open bucket
	Band  *band
}

// band is a drawing of the usual values: a bar for each of the history, and the limits.
type band struct {
	W, H         int
	Bars         []bar
	Low, LowH    int // the band between the limits
	Above, Below int // positions of the limits; -1: there is none
	Label        string
}

// stateOf is what the console reads of a State.
type stateOf struct {
	Keys []fold.KeyView `json:"keys"`
}

// baselines returns the baselines of an agent. They are those of rules whose key is the agent alone, and of the rules that run here.
func (q *request) baselines(uid, tenant string) (out []baselineRow, err error) {
	rules, _, err := list[api.RuleView](q, "/v1/rules", nil, maxCSV)
	if err != nil {
		return nil, err
	}
	key := map[string]string{"ai_agent.uid": uid}
	if tenant != "" {
		key["tenant"] = tenant
	}
	text, _ := json.Marshal(key) // a map of texts
	asked := 0
	for _, r := range rules {
		if r.Kind != "baseline" || asked == maxBaselines {
			continue
		}
		asked++
		var s stateOf
		if q.get("/v1/state", url.Values{"rule": {r.ID}, "key": {string(text)}}, &s) != nil {
			continue // another key, or nothing is remembered of the agent
		}
		for _, k := range s.Keys {
			if k.Baseline != nil {
				out = append(out, baselineRow{Rule: r.ID, Title: r.Title, BaselineView: k.Baseline, Value: string(k.Value), Band: drawBand(k.Baseline)})
			}
		}
	}
	return out, nil
}

// drawBand draws the history of a baseline within its limits. It returns nil without a history.
func drawBand(b *fold.BaselineView) *band {
	const height, step = 48, 9
	at := func(n json.Number) (float64, bool) {
		v, err := strconv.ParseFloat(string(n), 64)
		return v, err == nil && v >= 0
	}
	most := 0.0
	for _, n := range append([]json.Number{b.Above, b.Below}, b.History...) {
		if v, ok := at(n); ok {
			most = max(most, v)
		}
	}
	if len(b.History) == 0 || most == 0 {
		return nil
	}
	place := func(v float64) int { return height - int(v/most*(height-4)) }
	d := &band{W: step*len(b.History) + 2, H: height, Above: -1, Below: -1, LowH: height}
	if v, ok := at(b.Above); ok {
		d.Above = place(v)
		d.Low, d.LowH = d.Above, height-d.Above
	}
	if v, ok := at(b.Below); ok {
		d.Below = place(v)
		d.LowH = d.Below - d.Low
	}
	for i, n := range b.History {
		if v, ok := at(n); ok {
			y := min(place(v), height-1)
			d.Bars = append(d.Bars, bar{i*step + 1, y, step - 2, height - y})
		}
	}
	d.Label = plural(len(b.History), "learnt value") + ", median " + string(b.Median)
	if b.Above != "" {
		d.Label += ", fires from " + string(b.Above) + " on"
	}
	if b.Below != "" {
		d.Label += ", fires down to " + string(b.Below)
	}
	return d
}
