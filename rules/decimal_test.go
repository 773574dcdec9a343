package rules_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"pgregory.net/rapid"
)

// bigOf returns the number in units of 10^-9.
func bigOf(d rules.Decimal) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(d.Hi), 64)
	return n.Add(n, new(big.Int).SetUint64(d.Lo))
}

func TestParseDecimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?[0-9]{1,20}(\.[0-9]{1,9})?`).Draw(t, "number")
		d, ok := rules.ParseDecimal(text)
		want, _ := new(big.Rat).SetString(text)
		want.Mul(want, big.NewRat(rules.DecimalOne, 1))
		if got := bigOf(d); !ok || !want.IsInt() || got.Cmp(want.Num()) != 0 || d.Sign() != want.Sign() {
			t.Errorf("%s: got %s, sign %d, want %s", text, got, d.Sign(), want)
		}
		if back, ok := rules.ParseDecimal(d.String()); !ok || back != d {
			t.Errorf("%s: String returned %s, which is read as %s", text, d, back)
		}
	})
	for _, bad := range []string{"", "-", ".", "1e3", "0x10", "1.0000000001", "123456789012345678901", "1,5", "--1"} {
		if d, ok := rules.ParseDecimal(bad); ok {
			t.Errorf("%q is read as %s", bad, d)
		}
	}
}

// TestDecimalIsExact compares the arithmetic with package big.
func TestDecimalIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) rules.Decimal {
			hi := rapid.Int64Range(math.MinInt64/2, math.MaxInt64/2).Draw(t, name+" hi") >> rapid.IntRange(0, 63).Draw(t, "shift")
			return rules.Decimal{Hi: hi, Lo: rapid.Uint64().Draw(t, name+" lo")}
		}
		a, b := draw("a"), draw("b")
		if got, want := bigOf(a.Add(b)), new(big.Int).Add(bigOf(a), bigOf(b)); got.Cmp(want) != 0 {
			t.Fatalf("Add: got %s, want %s", got, want)
		}
		if got, want := bigOf(a.Sub(b)), new(big.Int).Sub(bigOf(a), bigOf(b)); got.Cmp(want) != 0 {
			t.Fatalf("Sub: got %s, want %s", got, want)
		}
		if got, want := a.Less(b), bigOf(a).Cmp(bigOf(b)) < 0; got != want {
			t.Fatalf("Less: got %t, want %t", got, want)
		}
		if got, want := a.Sign(), bigOf(a).Sign(); got != want {
			t.Fatalf("Sign: got %d, want %d", got, want)
		}
		got, ok := new(big.Rat).SetString(a.String())
		if want := new(big.Rat).SetFrac(bigOf(a), big.NewInt(rules.DecimalOne)); !ok || got.Cmp(want) != 0 {
			t.Fatalf("String: got %s, want %s", a, want)
		}
		n := rapid.Int64().Draw(t, "units")
		if got := bigOf(rules.DecimalUnits(n)); got.Cmp(big.NewInt(n)) != 0 {
			t.Fatalf("DecimalUnits: got %s, want %d", got, n)
		}
		whole, nanos := rapid.Uint64().Draw(t, "whole"), rapid.Uint64Range(0, rules.DecimalOne).Draw(t, "nanos")
		want := new(big.Int).Mul(new(big.Int).SetUint64(whole), big.NewInt(rules.DecimalOne))
		if want.Add(want, new(big.Int).SetUint64(nanos)); bigOf(rules.NewDecimal(whole, nanos)).Cmp(want) != 0 {
			t.Fatalf("NewDecimal: got %s, want %s", bigOf(rules.NewDecimal(whole, nanos)), want)
		}
	})
}

func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.Int64Range(1, math.MaxInt64).Draw(t, "whole")
		part, share := rapid.Int64Range(0, whole).Draw(t, "part"), rapid.Int64Range(0, rules.DecimalOne).Draw(t, "share")
		scaled := new(big.Int).Mul(big.NewInt(part), big.NewInt(rules.DecimalOne))
		need := new(big.Int).Mul(big.NewInt(whole), big.NewInt(share))
		if got, want := rules.ShareReaches(part, whole, share), scaled.Cmp(need) >= 0; got != want {
			t.Fatalf("ShareReaches: got %t, want %t", got, want)
		}
		if got, want := bigOf(rules.Share(part, whole)), new(big.Int).Div(scaled, big.NewInt(whole)); got.Cmp(want) != 0 {
			t.Fatalf("Share: got %s, want %s", got, want)
		}
	})
	if got := rules.Share(1, 0); got.Sign() != 0 {
		t.Errorf("a share of nothing: got %s, want 0", got)
	}
}

func TestDecimalLimits(t *testing.T) {
	most, least := rules.Decimal{Hi: math.MaxInt64, Lo: math.MaxUint64}, rules.Decimal{Hi: math.MinInt64}
	if got := most.Add(rules.Decimal{Lo: 1}); got != most {
		t.Errorf("the largest + 10^-9: got %s, want %s", got, most)
	}
	f := func(d rules.Decimal, want string) {
		t.Helper()
		if got := d.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(most, "170141183460469231731687303715.884105727")
	f(least, "-170141183460469231731687303715.884105728")
	f(rules.Decimal{}, "0")
	f(rules.NewDecimal(0, 500_000_000), "0.5")
	f(rules.DecimalUnits(-1_500_000_000), "-1.5")
}
