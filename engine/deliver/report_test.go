package deliver

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// logged returns the lines since the last call that have the word sink in their message.
func (v *delivery) logged() (lines []string) {
	v.t.Helper()
	for line := range strings.Lines(v.log.String()) {
		if strings.Contains(line, `msg="sink `) && !strings.Contains(line, "sink added") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	v.log.Reset()
	return lines
}

// TestOneLinePerChange checks that a failure is logged once, with the next attempt, however often it is repeated and
// whatever numbers its text contains, that another failure and the recovery are logged once each, and that the status
// shows the present error only.
func TestOneLinePerChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &testSink{name: "soc"}
		v := deliver(t, sink)
		port := 40000
		fail := func(text string) func([]connectors.Entry) error {
			return func([]connectors.Entry) error { port++; return fmt.Errorf("read tcp 127.0.0.1:%d: %s", port, text) }
		}
		check := func(name string, want ...string) {
			t.Helper()
			got := v.logged()
			if len(got) != len(want) {
				t.Fatalf("%s: got %d lines, want %d:\n%s", name, len(got), len(want), strings.Join(got, "\n"))
			}
			for i := range got {
				if !strings.Contains(got[i], want[i]) {
					t.Errorf("%s: got %s, want %s in it", name, got[i], want[i])
				}
			}
		}
		sink.setAnswer(fail("refused"))
		v.commit("1 opened")
		v.after(10 * time.Minute)
		check("a failure", `level=WARN msg="sink failed, retrying" sink=soc state=retrying `+
			`error="write to sink \"soc\": read tcp 127.0.0.1:40001: refused" next_attempt=2000-01-01T00:00:0`)
		if s := v.d.Status()[0]; s.State != SinkRetrying || !strings.Contains(s.Reason, "refused") || s.Next.IsZero() {
			t.Errorf("status during the failure: %+v", s)
		}
		sink.setAnswer(fail("timeout"))
		v.after(10 * time.Minute)
		check("another failure", "timeout")
		sink.setAnswer(nil)
		v.after(time.Minute)
		check("the recovery", `level=INFO msg="sink works again" sink=soc after=20m`)
		if s := v.d.Status()[0]; s.State != SinkOK || s.Reason != "" || !s.Next.IsZero() {
			t.Errorf("status after the recovery: %+v", s)
		}

		sink.setHealth(connectors.Health{Degraded: true, Reason: "the password is wrong (code 516)", Since: time.Now()})
		v.after(time.Hour)
		check("bad health while nothing is delivered", `state=degraded error="the password is wrong (code 516)"`)
		sink.setHealth(connectors.Health{})
		v.after(healthEvery)
		check("good health", "works again")

		sink.setAnswer(refuse(func(e connectors.Entry) *connectors.Undelivered {
			return &connectors.Undelivered{Seq: e.Seq, Reason: "http_500", Detail: "answered 500", After: 30 * time.Minute}
		}))
		sink.setHealth(connectors.Health{Degraded: true, Reason: "http_500: answered 500", Since: time.Now()})
		v.commit("2 opened")
		v.after(2 * time.Second)
		check("a retry", `error="http_500: answered 500" next_attempt=2000-01-01T01:5`)
		sink.setAnswer(fail("no attempt before 12:00"))
		v.after(2 * time.Hour)
		check("an open breaker, which is the same failure")
		sink.setHealth(connectors.Health{})
		sink.setAnswer(nil)
		v.after(time.Hour)
		check("the recovery", "works again")
		if err := v.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestRefusedEntries checks that refused entries are logged once per reason and shown until a delivery succeeds, and that a
// sink that refuses every second entry does not flood the log.
func TestRefusedEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &testSink{name: "soc"}
		v := deliver(t, sink)
		reason := "http_400"
		refuseAll := refuse(func(e connectors.Entry) *connectors.Undelivered {
			return &connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: reason, Detail: "refused"}
		})
		sink.setAnswer(refuseAll)
		v.commit("1 opened")
		v.commit("2 opened")
		const line = `refuses entries; they become dead letters" sink=soc state=ok error="the last delivery was refused: http_400: refused"`
		if got := v.logged(); len(got) != 1 || !strings.Contains(got[0], line) {
			t.Errorf("got %q, want one line", got)
		}
		reason = "http_422"
		v.commit("3 opened")
		if got := v.logged(); len(got) != 1 || !strings.Contains(got[0], "http_422") {
			t.Errorf("after another status: got %q, want one line", got)
		}
		for range 20 {
			sink.setAnswer(nil)
			v.commit("4 opened")
			if s := v.d.Status()[0]; s.Reason != "" {
				t.Fatalf("status after a delivery: %+v", s)
			}
			sink.setAnswer(refuseAll)
			v.commit("5 opened")
		}
		if got := v.logged(); len(got) > 2 {
			t.Errorf("a sink that refuses every second entry: got %d lines:\n%s", len(got), strings.Join(got, "\n"))
		}
		if s := v.d.Status()[0]; !strings.Contains(s.Reason, "http_422: refused") || s.State != SinkOK {
			t.Errorf("status: %+v", s)
		}
		if err := v.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestDisabledSink checks that a sink that reports Disabled is not written to, also after a restart, until it is enabled,
// and that its entries become dead letters that can be requeued.
func TestDisabledSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &testSink{name: "soc"}
		sink.setAnswer(func(entries []connectors.Entry) error {
			p := &connectors.Partial{Disabled: "it answered 410 Gone"}
			for _, e := range entries {
				p.Entries = append(p.Entries, connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: "http_410", Detail: "answered 410"})
			}
			return p
		})
		v := deliver(t, sink)
		v.commit("1 opened")
		v.commit("2 opened")
		const line = `level=ERROR msg="sink disabled; its entries become dead letters" sink=soc state=disabled`
		if got := v.logged(); len(got) != 1 || !strings.Contains(got[0], line) {
			t.Errorf("got %q, want one line", got)
		}
		sink.setAnswer(nil)
		v.crash(sink)
		v.commit("3 opened")
		want(t, "writes", strings.Join(sink.attempts(), "; "), "1")
		if s := v.d.Status()[0]; s.State != SinkDisabled || !strings.Contains(s.Reason, "`aidr webhook enable soc`") || s.Since.IsZero() {
			t.Errorf("status after a restart: %+v", s)
		}
		var reasons []string
		var last uint64
		if err := v.store.DeadLetters(store.DeadFilter{Kind: schema.DeadDelivery}, func(l *store.DeadLetter) bool {
			reasons, last = append(reasons, l.Reason), l.Seq
			return true
		}); err != nil {
			t.Fatal(err)
		}
		want(t, "dead letters", strings.Join(reasons, " "), "http_410 endpoint_gone endpoint_gone")
		v.logged()

		if changed, err := v.d.Enable("soc"); !changed || err != nil {
			t.Errorf("enable: %v, %v", changed, err)
		}
		v.commit("4 opened")
		if err := v.d.Requeue(last); err != nil {
			t.Error(err)
		}
		v.after(time.Second)
		want(t, "delivered", sink.taken(), "6 opened, 5 opened")
		if got := v.logged(); len(got) != 1 || !strings.Contains(got[0], "works again") {
			t.Errorf("after it was enabled: got %q, want one line", got)
		}
		if changed, err := v.d.Enable("soc"); changed || err != nil {
			t.Errorf("enable twice: %v, %v", changed, err)
		}
		if _, err := v.d.Enable("siem"); err == nil {
			t.Error("an unknown sink was enabled")
		}
		if err := v.stop(); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
	})
}
