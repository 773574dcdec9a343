package scan

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// whole returns the span of a text that consists of one value.
func whole(t rapid.TB, src string) Span {
	t.Helper()
	v, err := Valid(src)
	if err != nil {
		t.Fatalf("Valid(%q): %v", src, err)
	}
	return v
}

func TestInt(t *testing.T) {
	f := func(src string, want int64, ok bool) {
		t.Helper()
		if got, gotOK := Int(src, whole(t, src)); got != want || gotOK != ok {
			t.Errorf("Int(%s): got %d, %v; want %d, %v", src, got, gotOK, want, ok)
		}
	}
	f(`0`, 0, true)
	f(`-0`, 0, true)
	f(`0.0e9`, 0, true)
	f(`0e99999999999999999999`, 0, true)
	f(`12`, 12, true)
	f(`12.0`, 12, true)
	f(`1e3`, 1000, true)
	f(`1.5e1`, 15, true)
	f(`1500e-2`, 15, true)
	f(`-12.340e2`, -1234, true)
	f(`"12"`, 12, true)
	f(`"12.0"`, 12, true)
	f(`"\u0031\u0032"`, 12, true)
	f(`9223372036854775807`, math.MaxInt64, true)
	f(`-9223372036854775808`, math.MinInt64, true)
	f(`9223372036854775807.000`, math.MaxInt64, true)
	f(`922337203685477580.7e1`, math.MaxInt64, true)
	f(`9223372036854775808`, 0, false)
	f(`-9223372036854775809`, 0, false)
	f(`18446744073709551615`, 0, false)
	f(`18446744073709551616`, 0, false)
	f(`1e19`, 0, false)
	f(`1e999999999`, 0, false)
	f(`1e-999999999`, 0, false)
	f(`1e99999999999999999999`, 0, false)
	f(`12.5`, 0, false)
	f(`1e-1`, 0, false)
	f(`1.00000000000000000000000000001`, 0, false)
	f(`100000000000000000000000000000e-29`, 1, true)
	f(strings.Repeat("1", maxNumberText+1), 0, false)
	f(`""`, 0, false)
	f(`" 1"`, 0, false)
	f(`"+1"`, 0, false)
	f(`"01"`, 0, false)
	f(`"0x1"`, 0, false)
	f(`"1_0"`, 0, false)
	f(`"1x"`, 0, false)
	f(`"-"`, 0, false)
	f(`true`, 0, false)
	f(`null`, 0, false)
	f(`{}`, 0, false)
	f(`[1]`, 0, false)
	if n, ok := Int("", Span{}); n != 0 || ok {
		t.Errorf("Int of an absent span: got %d, %v; want 0, false", n, ok)
	}
}

func TestDouble(t *testing.T) {
	f := func(src string, want float64, ok bool) {
		t.Helper()
		got, gotOK := Double(src, whole(t, src))
		if gotOK != ok || (ok && got != want) {
			t.Errorf("Double(%s): got %v, %v; want %v, %v", src, got, gotOK, want, ok)
		}
	}
	f(`0.1`, 0.1, true)
	f(`-1.5e300`, -1.5e300, true)
	f(`"2.5"`, 2.5, true)
	f(`1e-400`, 0, true)
	f(`1e400`, 0, false)
	f(`"NaN"`, 0, false)
	f(`"Inf"`, 0, false)
	f(`"0x1p-2"`, 0, false)
	f(`"1_000"`, 0, false)
	f(`false`, 0, false)
}

// exactInt computes the result of Int with big rationals.
func exactInt(text string) (int64, bool) {
	mantissa, exp, has := strings.Cut(strings.ToLower(text), "e")
	r, ok := new(big.Rat).SetString(mantissa)
	if !ok {
		return 0, false
	}
	if r.Sign() == 0 {
		return 0, true
	}
	if has {
		e, err := strconv.Atoi(exp)
		if err != nil || e > 500 || e < -500 {
			return 0, false // a number of at most 400 digits is then not an integer of 64 bits
		}
		scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(e, -e))), nil))
		if e < 0 {
			scale.Inv(scale)
		}
		r.Mul(r, scale)
	}
	if !r.IsInt() || !r.Num().IsInt64() {
		return 0, false
	}
	return r.Num().Int64(), true
}

func FuzzNumber(f *testing.F) {
	for _, src := range []string{"0", "-1.50e2", "9223372036854775807", "1e19", "0.000001e6",
		"123456789012345678901234567890e-12", "x", "1e500"} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > maxNumberText {
			return
		}
		at, v := skipNumber(src, 0)
		if got, want := !v.bad() && at == len(src), json.Valid([]byte(src)) && strings.Trim(src, "0123456789+-.eE") == ""; got != want {
			t.Fatalf("%q is a number: got %v, want %v", src, got, want)
		}
		if v.bad() || at != len(src) {
			return
		}
		quoted := `"` + src + `"`
		for _, text := range []string{src, quoted} {
			got, ok := Int(text, whole(t, text))
			if want, wantOK := exactInt(src); got != want || ok != wantOK {
				t.Errorf("Int(%s): got %d, %v; want %d, %v", text, got, ok, want, wantOK)
			}
			d, ok := Double(text, whole(t, text))
			if want, err := strconv.ParseFloat(src, 64); ok != (err == nil) || (ok && d != want) {
				t.Errorf("Double(%s): got %v, %v; want %v, %v", text, d, ok, want, err)
			}
		}
	})
}
