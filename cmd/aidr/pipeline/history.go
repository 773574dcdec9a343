package pipeline

import (
	"context"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/schema"
)

// history returns what this process keeps of the past: ClickHouse, if it is configured.
func (p *Pipeline) history() api.History {
	h := api.History{Events: schema.ArchiveOff}
	for _, s := range p.sinks {
		if c, ok := s.(*clickhouse.Sink); ok {
			h.Events = archiveOf(p.cfg)
			h.Ask = func(ctx context.Context, sql string, parameters map[string]string) ([][]string, error) {
				found, err := c.Ask(ctx, sql, parameters)
				if err != nil {
					return nil, err
				}
				return found.Rows, nil
			}
		}
	}
	return h
}

// hostLabels returns the labels of a request that sends something to a host, by the capabilities of the rules that run.
func (p *Pipeline) hostLabels(host string) []string {
	p.mu.Lock()
	set := p.set
	p.mu.Unlock()
	return set.Capabilities().Request(host, "/", "POST").Names()
}
