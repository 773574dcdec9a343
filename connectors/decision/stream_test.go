package decision

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// TestFollow checks that a follower gets the full table, then changes as they come, and continues after the connection broke.
func TestFollow(t *testing.T) {
	table := newFakeTable()
	_, url := newServer(t, table, func(o *Options) { o.Beat = time.Hour })
	snapshots := make(chan schema.Snapshot, 16)
	states := make(chan string, 16)
	f := &Follower{
		URL: url + "/", Token: gateToken, Client: http.DefaultClient, Beat: time.Hour,
		Snapshot: func(s *schema.Snapshot) bool { snapshots <- *s; return true },
		State:    func(problem string) { states <- problem },
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	if s := <-snapshots; s.Since != 0 || s.Version != 1 || <-states != "" {
		t.Errorf("got %+v, want a full snapshot", s)
	}
	table.change()
	if s := <-snapshots; s.Since != 1 || s.Version != 2 {
		t.Errorf("got %+v, want the changes since version 1", s)
	}
	if err := f.Report(ctx, []schema.Receipt{{ContainmentID: schema.ID{1}, Point: "side", Refused: 2}, {Point: "bad\x00"}}); err != nil {
		t.Fatal(err)
	}
	if r := table.receipts; len(r) != 2 || r[0].Point != "gate/side" || r[1].Point != "gate/gate" {
		t.Errorf("receipts %+v", r)
	}
	cancel()
	<-done
}

// TestFollowRefused checks that a follower reports why it gets nothing, and does not give up.
func TestFollowRefused(t *testing.T) {
	table := newFakeTable()
	_, url := newServer(t, table, nil)
	states := make(chan string, 16)
	ctx, cancel := context.WithCancel(t.Context())
	f := &Follower{URL: url, Token: "wrong", Client: http.DefaultClient, Snapshot: func(*schema.Snapshot) bool { return true }, State: func(p string) { states <- p }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	for range 2 {
		if s := <-states; len(s) < 12 || s[:12] != "answered 401" {
			t.Errorf("state %q, want answered 401", s)
		}
	}
	cancel()
	<-done
}
