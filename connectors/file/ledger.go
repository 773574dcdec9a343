package file

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/aidr-engine/aidr/connectors"
)

// ledger wraps a Reader and tracks the partitions that were announced and are not final. They are revoked at the end.
type ledger struct {
	connectors.Reader

	mu   sync.Mutex
	open map[connectors.Partition]bool
}

func newLedger(r connectors.Reader) *ledger {
	return &ledger{Reader: r, open: make(map[connectors.Partition]bool)}
}

// assign announces p and returns the position to read from, which is 0 for a file that the engine does not know.
func (l *ledger) assign(p connectors.Partition) int64 {
	l.mu.Lock()
	l.open[p] = true
	l.mu.Unlock()
	from, ok := l.Assigned(p)
	if !ok || from < 0 {
		return 0
	}
	return from
}

// Read passes b on and records the end of a partition.
func (l *ledger) Read(ctx context.Context, b *connectors.Batch) error {
	p, final := b.Partition, b.Final // b belongs to the Reader after the call
	if err := l.Reader.Read(ctx, b); err != nil {
		return err
	}
	if final {
		l.mu.Lock()
		delete(l.open, p)
		l.mu.Unlock()
	}
	return nil
}

// revokeAll revokes the partitions that are not final, in order of topic and number. It does so even if ctx has ended,
// because the engine has to make the records durable that it was given.
func (l *ledger) revokeAll(ctx context.Context) error {
	l.mu.Lock()
	var left []connectors.Partition
	for p := range l.open {
		left = append(left, p)
	}
	l.mu.Unlock()
	slices.SortFunc(left, func(a, b connectors.Partition) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Number) - int(b.Number)
	})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	var errs []error
	for _, p := range left {
		errs = append(errs, l.Revoked(ctx, p))
	}
	return errors.Join(errs...)
}
