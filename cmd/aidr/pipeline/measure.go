package pipeline

import (
	"context"
	"log/slog"
	"sync"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
)

// MeasuredInput returns the input of a source of a configuration for a measurement: it is read from the position start, as by
// Tap, so it joins no consumer group and commits nothing. Its Source ends when every partition has been read to its end.
func MeasuredInput(cfg *config.Config, source, start string, log *slog.Logger) (engine.Input, error) {
	s, err := SourceOf(cfg, source)
	if err != nil {
		return engine.Input{}, err
	}
	chosen, err := tapConfig(cfg, TapOptions{Sources: []string{s.Name}, From: start})
	if err != nil {
		return engine.Input{}, err
	}
	mapped, err := loadMaps(chosen, log)
	if err != nil {
		return engine.Input{}, err
	}
	inputs, err := buildInputs(chosen, mapped, log)
	if err != nil {
		return engine.Input{}, err
	}
	enrichment, err := openEnrichment(chosen, log)
	if err != nil {
		return engine.Input{}, err
	}
	addToDecoding(chosen, enrichment, inputs)
	in := inputs[0]
	in.Source = boundedSource{in.Source}
	return in, nil
}

// boundedSource is a source that ends once every partition has been read to its end.
type boundedSource struct{ connectors.Source }

// Run implements connectors.Source.
func (s boundedSource) Run(ctx context.Context, r connectors.Reader) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	err := readSource(ctx, s.Source, &boundedReader{Reader: r, stop: stop, unread: map[connectors.Partition]bool{}})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// boundedReader stops its source when no partition has more to read.
type boundedReader struct {
	connectors.Reader
	stop context.CancelFunc

	mu     sync.Mutex
	unread map[connectors.Partition]bool
}

// Assigned implements connectors.Reader.
func (r *boundedReader) Assigned(p connectors.Partition) (int64, bool) {
	r.mu.Lock()
	r.unread[p] = true
	r.mu.Unlock()
	return r.Reader.Assigned(p)
}

// Read implements connectors.Reader.
func (r *boundedReader) Read(ctx context.Context, b *connectors.Batch) error {
	if err := r.Reader.Read(ctx, b); err != nil {
		return err
	}
	if !b.AtEnd {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if delete(r.unread, b.Partition); len(r.unread) == 0 {
		r.stop()
	}
	return nil
}
