package schema

import (
	"math"
	"testing"
)

func TestAbsentMeansAbsent(t *testing.T) {
	var e Event
	if e.Has(UserName) || e.Value(UserName).Present() || e.Text(UserName) != "" || e.Int(EventDuration) != 0 || e.Double(GenAIUsageCost) != 0 {
		t.Errorf("the zero Event has fields: %v", e.Present())
	}
	e.SetText(UserName, "ann")
	e.SetInt(HTTPResponseBytes, 0)
	e.Set(GenAIUsageCost, DoubleValue(0.5))
	if !e.Has(HTTPResponseBytes) || e.Int(HTTPResponseBytes) != 0 || e.Text(UserName) != "ann" || e.Double(GenAIUsageCost) != 0.5 {
		t.Errorf("got %v, %v, %v", e.Value(HTTPResponseBytes), e.Value(UserName), e.Value(GenAIUsageCost))
	}
	for _, clear := range []func(){
		func() { e.SetText(UserName, "") },
		func() { e.Set(UserName, Value{}) },
		func() { e.Set(UserName, StringValue("")) },
		func() { e.Clear(UserName) },
		func() { s := Fields(UserName, UserEmail); e.ClearAll(&s) },
		func() { e.Reset() },
	} {
		e.SetText(UserName, "ann")
		if clear(); e.Has(UserName) || e.Text(UserName) != "" {
			t.Errorf("user.name is still present: %q", e.Text(UserName))
		}
	}
}

func TestEventEnd(t *testing.T) {
	var e Event
	if ns, ok := e.End(); ok || ns != 0 {
		t.Errorf("without a time: got %d, %v", ns, ok)
	}
	f := func(at, duration int64, want Instant) {
		t.Helper()
		e.SetTime(Time, at)
		e.SetInt(EventDuration, duration)
		if ns, ok := e.End(); !ok || ns != want {
			t.Errorf("%d + %d: got %d, %v; want %d", at, duration, ns, ok, want)
		}
	}
	f(100, 30, 130)
	f(100, 0, 100)
	f(100, -30, 100)
	f(-100, 30, -70)
	f(math.MaxInt64-30, 30, math.MaxInt64)
	f(math.MaxInt64-30, 31, math.MaxInt64-30) // the duration is hostile
	f(math.MinInt64, math.MaxInt64, -1)
}

func TestFieldSet(t *testing.T) {
	all := AllFields()
	n := 0
	for f := range all.All {
		if f != Field(n) {
			t.Fatalf("field %d of the set: got %s, want %s", n, f, Field(n))
		}
		if got, ok := FieldByName(f.String()); !ok || got != f {
			t.Errorf("FieldByName(%s): got %v, %v", f, got, ok)
		}
		n++
	}
	if n != NumFields {
		t.Errorf("got %d fields, want %d", n, NumFields)
	}
	s := Fields(Time, GuardrailVerdict)
	s.Union(Fields(UserName))
	s.Remove(Time)
	if s.Has(Time) || !s.Has(UserName) || !s.Has(GuardrailVerdict) {
		t.Errorf("got %v", s)
	}
	if _, ok := FieldByName("user"); ok {
		t.Error("user is a field")
	}
}
