package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// TestAuditOfTheSetup checks that the audit has the rules and the configuration of the start, each reload that changes
// rules or exceptions, and a restart with other rules; a restart with the same ones adds nothing.
func TestAuditOfTheSetup(t *testing.T) {
	dir := folder(t, map[string]string{"a.yaml": leak, "log": event(1, "leak", "a") + "\n"})
	e := newEndpoint(t)
	cfg := fileConfig(t, filepath.Join(dir, "a.yaml"), e, true, filepath.Join(dir, "log"))
	run := func(change func(*process)) (out []string) {
		x := start(t, cfg)
		e.await(t, "test.leak a 1")
		wait(t, "the state directory", func() bool { _, err := x.triage(); return err == nil })
		change(x)
		err := x.opened.store.Audit(func(a *store.AuditEntry) bool {
			if !strings.HasPrefix(a.Who, "uid ") {
				t.Errorf("entry %+v", a)
			}
			out = append(out, string(a.Class)+" "+a.Action+" "+string(a.Detail))
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		x.stop()
		return out
	}
	want := []string{"rules start ", "configuration start "}
	check := func(got []string) {
		t.Helper()
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("the audit has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	check(run(func(*process) {}))
	check(run(func(x *process) { // nothing changed
		if err := x.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	}))
	want = append(want, `rules reload {"changed":["test.leak"]}`, `exception reload {"changed":["test.leak"]}`)
	check(run(func(x *process) {
		write(t, filepath.Join(dir, "a.yaml"), leak+"exceptions:\n  - {when: ai_agent.uid == \"b\", until: 2099-01-01, reason: r, owner: o}\n")
		if err := x.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	}))
	write(t, filepath.Join(dir, "a.yaml"), leak)
	want = append(want, "rules start ")
	check(run(func(*process) {}))
}

// TestSnoozedDeliveries checks that a snooze holds back deliveries alone, and that they go on after its end.
func TestSnoozedDeliveries(t *testing.T) {
	dir := folder(t, map[string]string{"a.yaml": leak, "log": event(1, "leak", "a") + "\n"})
	e := newEndpoint(t)
	x := start(t, fileConfig(t, filepath.Join(dir, "a.yaml"), e, true, filepath.Join(dir, "log")))
	e.await(t, "test.leak a 1")
	table, err := x.triage()
	if err != nil {
		t.Fatal(err)
	}
	who := triage.Actor{Name: "ann"}
	s, err := table.Snooze(triage.SnoozeSpec{Rule: "test.leak", Agent: "b"}, time.Hour, "rollout", who)
	if err != nil {
		t.Fatal(err)
	}
	appendTo(t, filepath.Join(dir, "log"), event(2, "leak", "b")+"\n"+event(3, "leak", "c")+"\n")
	e.await(t, "test.leak a 1", "test.leak c 1")
	var found int
	if err := x.opened.store.Findings(store.FindingFilter{Agent: "b"}, func(*schema.Finding) bool { found++; return true }); err != nil || found != 1 {
		t.Errorf("%d findings of the snoozed agent are in the store, want 1: %v", found, err)
	}
	if n := x.Total("aidr_deliveries_snoozed_total"); n != 1 {
		t.Errorf("%v deliveries are counted as snoozed, want 1", n)
	}
	if _, err := table.Wake(s.ID, "over", who); err != nil {
		t.Fatal(err)
	}
	appendTo(t, filepath.Join(dir, "log"), event(4, "leak", "d")+"\n")
	e.await(t, "test.leak a 1", "test.leak c 1", "test.leak d 1")
	x.stop()
}

// appendTo appends a text to a file.
func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}
