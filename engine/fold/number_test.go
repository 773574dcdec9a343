package fold

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules"
)

// bigOf returns d as a number of its units.
func bigOf(d rules.Decimal) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(d.Hi), 64)
	return n.Add(n, new(big.Int).SetUint64(d.Lo))
}

// TestNumbersAgreeWithBig compares the arithmetic with that of math/big.
func TestNumbersAgreeWithBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) rules.Decimal {
			return rules.Decimal{
				Hi: rapid.Int64Range(0, math.MaxInt64/2).Draw(t, name+" hi") >> rapid.IntRange(0, 63).Draw(t, "shift"),
				Lo: rapid.Uint64().Draw(t, name+" lo"),
			}
		}
		a, b := draw("a"), draw("b")
		if got, want := bigOf(plus(a, b)), new(big.Int).Add(bigOf(a), bigOf(b)); got.Cmp(want) != 0 {
			t.Fatalf("plus: got %s, want %s", got, want)
		}
		if got, want := less(a, b), bigOf(a).Cmp(bigOf(b)) < 0; got != want {
			t.Fatalf("less: got %v, want %v", got, want)
		}
		got, ok := new(big.Rat).SetString(decimalText(a))
		if want := new(big.Rat).SetFrac(bigOf(a), big.NewInt(nano)); !ok || got.Cmp(want) != 0 {
			t.Fatalf("text: got %s, want %s", decimalText(a), want)
		}
		whole := rapid.Int64Range(1, math.MaxInt64).Draw(t, "whole")
		part, share := rapid.Int64Range(0, whole).Draw(t, "part"), rapid.Int64Range(0, nano).Draw(t, "share")
		scaled := new(big.Int).Mul(big.NewInt(part), big.NewInt(nano))
		if got, want := atLeast(part, whole, share), scaled.Cmp(new(big.Int).Mul(big.NewInt(whole), big.NewInt(share))) >= 0; got != want {
			t.Fatalf("atLeast: got %v, want %v", got, want)
		}
		if got, want := bigOf(shareOf(part, whole)), new(big.Int).Div(scaled, big.NewInt(whole)); got.Cmp(want) != 0 {
			t.Fatalf("shareOf: got %s, want %s", got, want)
		}
	})
}

func TestSumsSaturate(t *testing.T) {
	most := rules.Decimal{Hi: math.MaxInt64, Lo: math.MaxUint64}
	if got := plus(most, rules.Decimal{Lo: 1}); got != most {
		t.Errorf("got %+v, want %+v", got, most)
	}
	if got, want := decimalText(most), "170141183460469231731687303715.884105727"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := decimalText(rules.Decimal{Hi: -1, Lo: math.MaxUint64 - 1_500_000_000 + 1}), "-1.5"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
