package schema

import (
	"testing"

	"pgregory.net/rapid"
)

// TestValueRoundTrips checks that the flat form of each value is read back with the bytes after it, and that a form that
// ends too early is recognised as damaged.
func TestValueRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]Value{
			{},
			StringValue(rapid.String().Draw(t, "text")),
			IntValue(rapid.Int64().Draw(t, "int")),
			DoubleValue(rapid.Float64().Draw(t, "double")),
			BoolValue(rapid.Bool().Draw(t, "bool")),
			TimestampValue(rapid.Int64().Draw(t, "ns")),
			JSONValue(`{"a":1}`),
			ListValue(`["a","b"]`),
		}).Draw(t, "value")
		flat := AppendValue(nil, v)
		got, rest, ok := ReadValue(append(flat, "rest"...))
		if !ok || got != v || string(rest) != "rest" {
			t.Fatalf("%v: got %v, %q, %v", v, got, rest, ok)
		}
		for n := range flat {
			if _, _, ok := ReadValue(flat[:n]); ok {
				t.Fatalf("%v: the first %d of %d bytes are read as a value", v, n, len(flat))
			}
		}
	})
	if _, _, ok := ReadValue([]byte{255, 0}); ok {
		t.Error("a kind that does not exist is read as a value")
	}
}
