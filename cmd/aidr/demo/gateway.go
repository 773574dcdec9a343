package demo

import (
	"context"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// gatewayName is the name of the demo's gateway in receipts.
	gatewayName = "demo-gateway"
	// gatewayEvery is the time between two calls of the agent after the story.
	gatewayEvery = time.Second
	// gatewayProof is how long no call may succeed until denials prove a containment: short, because a person watches the demo.
	gatewayProof = 5 * time.Second
)

// serveCalls plays what comes after the story while the demo stays: research-bot goes on calling through a gateway that asks AIDR
// about each call and logs it. So a containment of the agent shows denials, and then its proof.
func (d *demo) serveCalls(ctx context.Context, p *pipeline.Pipeline) error {
	tick := time.NewTicker(gatewayEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		table := p.DecisionTable()
		if table == nil {
			continue
		}
		answer := table.Decide(schema.Question{Agent: "research-bot", Route: "GET /news", Point: gatewayName})
		status := 200
		if answer.Verdict != schema.VerdictAllow {
			status = 403
		}
		s := &script{start: time.Now()}
		s.call(0, "research-bot", "GET", "/news", status)
		if err := produce(ctx, d.broker, s.lines, s.start, true); err != nil {
			return err
		}
	}
}
