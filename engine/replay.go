package engine

import (
	"bytes"
	"context"
	"errors"
	"sort"
	"sync"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Replay runs bounded sources through an engine and returns the findings that are open or settled when everything is
// read, without revision and detected_at, sorted by (group_start, id). It is the live code path: nothing but the end
// differs. until moves all watermarks on to that instant; 0 leaves them at the highest event time of the input.
func Replay(ctx context.Context, o Options, until schema.Instant) ([]*schema.Finding, error) {
	latest := map[schema.ID]*schema.Finding{}
	committed := o.Committed
	o.Committed = func(entries []connectors.Entry) {
		for _, en := range entries {
			latest[en.Finding.ID] = en.Finding
		}
		if committed != nil {
			committed(entries)
		}
	}
	e, err := New(o)
	if err != nil {
		return nil, err
	}
	err = RunSources(ctx, e, o.Inputs)
	if err := errors.Join(err, e.Finish(ctx, until)); err != nil {
		return nil, err
	}
	var out []*schema.Finding
	for _, f := range latest {
		if f.Status != schema.StatusWithdrawn {
			f.Revision, f.DetectedAt = 0, nil
			out = append(out, f)
		}
	}
	SortFindings(out)
	return out, nil
}

// RunSources runs every input's source against r until all have ended, and returns their errors. One that fails ends
// the others.
func RunSources(ctx context.Context, r connectors.Reader, inputs []Input) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(inputs))
	var wg sync.WaitGroup
	for i, in := range inputs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if errs[i] = in.Source.Run(ctx, r); errs[i] != nil {
				cancel()
			}
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// SortFindings sorts by (group_start, id): the order of everything that is printed.
func SortFindings(fs []*schema.Finding) {
	sort.Slice(fs, func(i, j int) bool {
		if fs[i].GroupStart != fs[j].GroupStart {
			return fs[i].GroupStart < fs[j].GroupStart
		}
		return bytes.Compare(fs[i].ID[:], fs[j].ID[:]) < 0
	})
}
