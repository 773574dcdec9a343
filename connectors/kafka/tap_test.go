package kafka

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// collector is a Reader that stores texts, and fails once it has want of them.
type collector struct {
	mu    sync.Mutex
	texts []string
	want  int
}

var errEnough = errors.New("enough")

func (c *collector) Assigned(connectors.Partition) (int64, bool)         { return 0, false }
func (c *collector) Revoked(context.Context, connectors.Partition) error { return nil }
func (c *collector) Standby(string, string)                              {}
func (c *collector) Read(_ context.Context, b *connectors.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range b.Records {
		c.texts = append(c.texts, b.Raw[r.Start:r.End])
	}
	if len(c.texts) >= c.want {
		return errEnough
	}
	return nil
}

func TestTapReadsBesideTheGroup(t *testing.T) {
	k := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, k.Addr, "logs", 2)
	conntest.Produce(t, k.Addr, "logs", 0, conntest.Messages("a", "b"), nil)
	conntest.Produce(t, k.Addr, "logs", 1, conntest.Messages("c"), nil)

	first := &collector{want: 3}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := newSource(t, k.Addr, topics("logs")).Tap(ctx, first); !errors.Is(err, errEnough) {
		t.Fatalf("got %v, want the reader's error", err)
	}
	slices.Sort(first.texts)
	if !slices.Equal(first.texts, []string{"a", "b", "c"}) {
		t.Errorf("got %q", first.texts)
	}

	// From the end, only new records are read.
	last := &collector{want: 1}
	s := newSource(t, k.Addr, func(c *Config) { c.Topics, c.Start = []string{"logs"}, "last" })
	done := make(chan error, 1)
	go func() { done <- s.Tap(ctx, last) }()
	for { // records produced before the tap has found the end are not read
		conntest.Produce(t, k.Addr, "logs", 0, conntest.Messages("d"), nil)
		select {
		case err := <-done:
			if !errors.Is(err, errEnough) || slices.ContainsFunc(last.texts, func(s string) bool { return s != "d" }) {
				t.Errorf("got %v and %q, want d alone", err, last.texts)
			}
		case <-time.After(100 * time.Millisecond):
			continue
		}
		break
	}

	// The taps have joined no group, so there are no committed offsets either.
	client := &kafka.Client{Addr: kafka.TCP(k.Addr)}
	groups, err := client.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err != nil || len(groups.Groups) != 0 {
		t.Errorf("groups: got %+v, %v, want none", groups, err)
	}
}

func TestTapEndsWithItsContext(t *testing.T) {
	k := conntest.StartFakeKafka(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- newSource(t, k.Addr, topics("none")).Tap(ctx, &collector{want: 1}) }()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Tap did not end")
	}
}
