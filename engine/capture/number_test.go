package capture

import (
	"math"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

func TestDecimalOf(t *testing.T) {
	parse := func(t *testing.T, text string) rules.Decimal {
		t.Helper()
		d, ok := rules.ParseDecimal(text)
		if !ok {
			t.Fatalf("%s is not a number", text)
		}
		return d
	}
	f := func(v schema.Value, want string) {
		t.Helper()
		if got := decimalOf(v); got != parse(t, want) {
			t.Errorf("got %v, want %s", got, want)
		}
	}
	f(schema.Value{}, "0")
	f(schema.StringValue("7"), "0")
	f(schema.IntValue(-3), "0")
	f(schema.IntValue(3), "3")
	f(schema.IntValue(math.MaxInt64), "4611686018427387904")
	f(schema.DoubleValue(-0.5), "0")
	f(schema.DoubleValue(math.NaN()), "0")
	f(schema.DoubleValue(math.Inf(1)), "4611686018427387904")
	f(schema.DoubleValue(0.1), "0.1")
	f(schema.DoubleValue(1e-9), "0.000000001")
	f(schema.DoubleValue(4e-10), "0")
	f(schema.DoubleValue(0.9999999999), "1")
	f(schema.DoubleValue(12345678.000000001), "12345678.000000002") // the double itself is nearer to this
	f(schema.BoolValue(true), "0")
	f(schema.JSONValue("7"), "0")
}
