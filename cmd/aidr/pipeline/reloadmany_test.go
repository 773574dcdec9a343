package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A reload of ten changed rules among many compiles these alone. Its duration is logged: see benchmarks/README.md.
func TestReloadOfManyRules(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	e := newEndpoint(t)
	files := map[string]string{}
	for i := range count {
		files[fmt.Sprintf("r%05d.yaml", i)] = manyRule(i, fmt.Sprintf("act-%d", i))
	}
	rules := folder(t, files)
	input := filepath.Join(folder(t, map[string]string{"x": event(1, "act-7", "a") + "\n"}), "x")
	x := start(t, fileConfig(t, rules, e, true, input))
	e.await(t, "test.many00007 a 1")
	took := time.Duration(0)
	for round := range 3 {
		var changed []string
		for i := range 10 {
			path := filepath.Join(rules, fmt.Sprintf("r%05d.yaml", i))
			write(t, path, manyRule(i, fmt.Sprintf("other-%d-%d", round, i)))
			changed = append(changed, path)
		}
		began := time.Now()
		if err := x.reloadChanged(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		took = time.Since(began)
		t.Logf("reload of 10 rules among %d: %v", count, took)
	}
	if got := x.Status().Rules; got != count {
		t.Errorf("%d rules run, want %d", got, count)
	}
	f, err := os.OpenFile(input, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = f.WriteString(event(2, "act-7", "a") + "\n" + event(3, "act-17", "a") + "\n" + event(4, "other-2-7", "a") + "\n")
	if err != nil {
		t.Fatal(err)
	}
	e.await(t, "test.many00007 a 2", "test.many00017 a 1")
	x.stop()
}

func manyRule(n int, action string) string {
	return fmt.Sprintf("id: test.many%05d\ntitle: Many\nseverity: low\nconfidence: 50\ndatasets: [x.test]\n"+
		"when: event.action == %q\ngroup: {for: 1h, by: [ai_agent.uid]}\n", n, action)
}
