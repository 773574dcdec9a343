package contain

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// TestRestored checks that a table of a backup is no silent release: what it holds is enforced, all else is unknown until a person
// confirms, followers ask for all of it, and a later restart keeps the confirmation.
func TestRestored(t *testing.T) {
	b := newBench(t, Policy{})
	s, err := store.Open(filepath.Join(t.TempDir(), "state"), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	b.store = s
	b.open(t, Policy{})
	if _, err := b.Confirm(person, "first start"); err != nil {
		t.Fatal(err)
	}
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("kept")})
	if err := b.checkpoint(); err != nil {
		t.Fatal(err)
	}
	saved, err := s.Copy()
	if err != nil {
		t.Fatal(err)
	}
	epoch := b.View().Epoch()
	restored := filepath.Join(t.TempDir(), "restored")
	if err := os.CopyFS(restored, os.DirFS(saved)); err != nil {
		t.Fatal(err)
	}
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("later")}) // not in the backup
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	b.now = b.now.Add(time.Minute)
	if _, err := store.Renew(restored, b.now); err != nil {
		t.Fatal(err)
	}
	if b.store, err = store.Open(restored, store.Options{NoSync: true}); err != nil {
		t.Fatal(err)
	}
	defer b.store.Close()
	b.open(t, Policy{})
	b.want(t, schema.Question{Agent: "kept"}, schema.VerdictDeny)
	b.want(t, schema.Question{Agent: "later"}, schema.VerdictUnknown)
	if b.View().Epoch() == epoch {
		t.Error("the epoch is that of the former table, so followers would not ask for all of it")
	}
	if err := b.checkpoint(); err != nil {
		t.Fatal(err)
	}
	b.open(t, Policy{})
	b.want(t, schema.Question{Agent: "later"}, schema.VerdictUnknown) // a restart confirms nothing
	if changed, err := b.Confirm(person, "nothing was contained since the backup"); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if err := b.checkpoint(); err != nil {
		t.Fatal(err)
	}
	b.open(t, Policy{})
	b.want(t, schema.Question{Agent: "later"}, schema.VerdictAllow)
}
