package console

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/store"
)

// pipelineBody is the content of the page pipeline.
type pipelineBody struct {
	api.Status
	Names   []string // of the components, sorted
	Dead    []*store.DeadLetter
	More    bool
	Costs   *engine.Ledger
	MayDead bool
}

const (
	// deadShown is the number of dead letters on the page, and costsShown that of rules.
	deadShown  = 50
	costsShown = 10
)

// pipeline shows the health of the process.
func (q *request) pipeline() error {
	b := pipelineBody{MayDead: q.session.who.may(access.Admin)}
	if err := q.get("/v1/status", nil, &b.Status); err != nil {
		return err
	}
	b.Names = slices.Sorted(maps.Keys(b.Components))
	var err error
	if b.Dead, b.More, err = list[*store.DeadLetter](q, "/v1/dead-letters", url.Values{"limit": {strconv.Itoa(deadShown + 1)}}, deadShown); err != nil {
		return err
	}
	var l engine.Ledger
	if err := q.get("/v1/rules/top", url.Values{"limit": {strconv.Itoa(costsShown)}}, &l); err == nil {
		b.Costs = &l
	}
	return q.show(page{
		Name: "pipeline", Nav: "pipeline", Title: "Pipeline", Live: "all", Body: b,
		Help: &help{
			From: "The running process: its components, the position and lag of each partition, what waits for each sink, dead letters, and the cost of rules " +
				"since the start.",
			Command: []string{"aidr status", "aidr dlq ls", "aidr rules top"},
			SQL:     "SELECT rule_id, count() FROM aidr.v_findings WHERE operational GROUP BY rule_id",
		},
	})
}

// replayDead submits a dead letter again.
func (q *request) replayDead() error {
	seq, err := strconv.ParseUint(q.r.PathValue("seq"), 10, 64)
	if err != nil {
		return badRequest{fmt.Errorf("dead letter: %w", err)}
	}
	if err := q.post(fmt.Sprintf("/v1/dead-letters/%d/replay", seq), struct{}{}, nil); err != nil {
		return badRequest{err}
	}
	return q.redirect("/pipeline#dead")
}
