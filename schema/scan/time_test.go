package scan

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTime(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		got, ok := Time(src, whole(t, src))
		if want == "" {
			if ok {
				t.Errorf("Time(%s): got %v, want not ok", src, time.Unix(0, got).UTC())
			}
			return
		}
		at, err := time.Parse(time.RFC3339Nano, want)
		if err != nil {
			t.Fatal(err)
		}
		if !ok || got != at.UnixNano() {
			t.Errorf("Time(%s): got %v, %v; want %s", src, time.Unix(0, got).UTC().Format(time.RFC3339Nano), ok, want)
		}
	}
	// RFC 3339
	f(`"2026-01-01T10:00:00Z"`, "2026-01-01T10:00:00Z")
	f(`"2026-01-01t10:00:00z"`, "2026-01-01T10:00:00Z")
	f(`"2026-01-01T10:00:00.Z"`, "2026-01-01T10:00:00Z")
	f(`"2026-01-01T10:00:00.5Z"`, "2026-01-01T10:00:00.5Z")
	f(`"2026-01-01T10:00:00,5Z"`, "2026-01-01T10:00:00.5Z")
	f(`"2026-01-01T10:00:00.1234567Z"`, "2026-01-01T10:00:00.1234567Z")
	f(`"2026-01-01T10:00:00.123456789Z"`, "2026-01-01T10:00:00.123456789Z")
	f(`"2026-01-01T10:00:00.1234567899Z"`, "2026-01-01T10:00:00.123456789Z")
	f(`"2026-01-01T10:00:00.000000001+02:00"`, "2026-01-01T08:00:00.000000001Z")
	f(`"2026-01-01T10:00:00-0730"`, "2026-01-01T17:30:00Z")
	f(`"2026-01-01T10:00:00+00"`, "2026-01-01T10:00:00Z")
	f(`"2024-02-29T23:59:60Z"`, "2024-03-01T00:00:00Z")
	f(`"1969-12-31T23:59:59.999999999Z"`, "1969-12-31T23:59:59.999999999Z")
	f(`"2026\u002d01-01T10:00:00Z"`, "2026-01-01T10:00:00Z")
	// no zone, a space
	f(`"2026-01-01T10:00:00"`, "2026-01-01T10:00:00Z")
	f(`"2026-01-01T10:00:00.25"`, "2026-01-01T10:00:00.25Z")
	f(`"2026-01-01 10:00:00.123456"`, "2026-01-01T10:00:00.123456Z")
	f(`"2026-01-01 10:00:00.123456 UTC"`, "2026-01-01T10:00:00.123456Z")
	f(`"2026-01-01 10:00:00 +0100"`, "2026-01-01T09:00:00Z")
	// CLF
	f(`"10/Oct/2000:13:55:36 -0700"`, "2000-10-10T20:55:36Z")
	f(`"10\/Oct\/2000:13:55:36 +0000"`, "2000-10-10T13:55:36Z")
	f(`"01/Jan/2026:00:00:00.123"`, "2026-01-01T00:00:00.123Z")
	f(`"01/Jan/2026:00:00:00"`, "2026-01-01T00:00:00Z")
	// epochs
	f(`"2026/05/01T09:41:00+0000"`, "2026-05-01T09:41:00Z")
	f(`"2026/05/01 09:41:00.5"`, "2026-05-01T09:41:00.5Z")

	f(`"05/01/2026 09:41:00"`, "2026-05-01T09:41:00Z")
	f(`"5/1/2026 09:41:00"`, "2026-05-01T09:41:00Z")
	f(`"5/1/2026 9:41:00 AM"`, "2026-05-01T09:41:00Z")
	f(`"5/1/2026, 9:41:00 PM"`, "2026-05-01T21:41:00Z")
	f(`"5/1/2026 10:41:00 AM +01:00"`, "2026-05-01T09:41:00Z")
	f(`"12/31/2026 12:00:00.25 am"`, "2026-12-31T00:00:00.25Z")
	f(`"12/1/2026 12:00:00 PM"`, "2026-12-01T12:00:00Z")
	f(`"12/31/2026 12:00:00 PM Z"`, "2026-12-31T12:00:00Z")
	f(`"5\/1\/2026 9:41:00 AM"`, "2026-05-01T09:41:00Z")
	f(`"Fri, 01 May 2026 09:41:00 GMT"`, "2026-05-01T09:41:00Z")
	f(`"Fri, 1 May 2026 09:41:00 +0200"`, "2026-05-01T07:41:00Z")
	f(`"01 May 2026 09:41:00 UTC"`, "2026-05-01T09:41:00Z")
	f(`"Friday, 01-May-26 09:41:00 GMT"`, "2026-05-01T09:41:00Z")
	f(`"Fri, 01-May-2026 09:41:00 GMT"`, "2026-05-01T09:41:00Z")
	f(`"Fri May  1 09:41:00 2026"`, "2026-05-01T09:41:00Z")
	f(`"Thu Dec 31 23:59:59 2026"`, "2026-12-31T23:59:59Z")

	f(`0`, "1970-01-01T00:00:00Z")
	f(`-1.5`, "1969-12-31T23:59:58.5Z")
	f(`1767261600`, "2026-01-01T10:00:00Z")
	f(`1767261600.1`, "2026-01-01T10:00:00.1Z")
	f(`1767261600.000000001`, "2026-01-01T10:00:00.000000001Z")
	f(`1767261600.0000000019`, "2026-01-01T10:00:00.000000001Z")
	f(`1767261600.12345678901234567890`, "2026-01-01T10:00:00.123456789Z")
	f(`1.7672616e9`, "2026-01-01T10:00:00Z")
	f(`1767261600123`, "2026-01-01T10:00:00.123Z")
	f(`1767261600123.25`, "2026-01-01T10:00:00.12325Z")
	f(`1767261600123456`, "2026-01-01T10:00:00.123456Z")
	f(`1767261600123456789`, "2026-01-01T10:00:00.123456789Z")
	f(`"1767261600.1"`, "2026-01-01T10:00:00.1Z")
	f(`"1767261600123"`, "2026-01-01T10:00:00.123Z")
	f(`9223372035`, "2262-04-11T23:47:15Z")
	f(`0.0000000000000001`, "1970-01-01T00:00:00Z")
	// not a time
	f(`9223372037`, "")
	f(`99999999999`, "")
	f(`9223372036854775808`, "")
	f(`1e400`, "")
	f(`"2262-04-12T00:00:00Z"`, "")
	f(`"1677-01-01T00:00:00Z"`, "")
	f(`"0001-01-01T00:00:00Z"`, "")
	f(`"2026-02-29T10:00:00Z"`, "")
	f(`"2026-04-31T10:00:00Z"`, "")
	f(`"2026-00-01T10:00:00Z"`, "")
	f(`"2026-13-01T10:00:00Z"`, "")
	f(`"2026-01-00T10:00:00Z"`, "")
	f(`"2026-01-01T24:00:00Z"`, "")
	f(`"2026-01-01T10:60:00Z"`, "")
	f(`"2026-01-01T10:00:61Z"`, "")
	f(`"2026-01-01T10:00:00+24:00"`, "")
	f(`"2026-01-01T10:00:00+1:00"`, "")
	f(`"2026-01-01T10:00:00 EST"`, "")
	f(`"2026-01-01T10:00:00ZZ"`, "")
	f(`"2026-01-01T10:00"`, "")
	f(`"2026-01-01"`, "")
	f(`"2026-1-1T10:00:00Z"`, "")
	f(`" 2026-01-01T10:00:00Z"`, "")
	f(`"32/Jan/2026:00:00:00 +0000"`, "")
	f(`"01/Foo/2026:00:00:00 +0000"`, "")
	f(`"13/1/2026 09:41:00"`, "")
	f(`"2/30/2026 09:41:00"`, "")
	f(`"5/1/26 09:41:00"`, "")
	f(`"5/1/2026 13:41:00 PM"`, "")
	f(`"5/1/2026 0:41:00 AM"`, "")
	f(`"5/1/2026 09:41"`, "")
	f(`"5/1/2026"`, "")
	f(`"5/1/202609:41:00"`, "")
	f(`"005/1/2026 09:41:00"`, "")
	f(`"2026-05/01T09:41:00"`, "")
	f(`"Fri, 32 May 2026 09:41:00 GMT"`, "")
	f(`"Fri, 01 Foo 2026 09:41:00 GMT"`, "")
	f(`"Fri, 01 May 2026 09:41:00 EST"`, "")
	f(`"Fri, 01 May 2026"`, "")
	f(`"Fri, 01-May 2026 09:41:00 GMT"`, "")
	f(`"Fri May  1 09:41:00"`, "")
	f(`"Fri May  1 09:41:00 2026 x"`, "")
	f(`"abcd"`, "")
	f(`"12 4"`, "")
	f(`"now"`, "")
	f(`""`, "")
	f(`"`+strings.Repeat("1", 1000)+`"`, "")
	f(`true`, "")
	f(`null`, "")
	f(`{"t":1}`, "")
}

// TestTimeReadsLibraryFormats checks that the times that the standard library formats are parsed as the same instants.
func TestTimeReadsLibraryFormats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sec := rapid.Int64Range(math.MinInt64/nanosPerSecond+1, math.MaxInt64/nanosPerSecond-1).Draw(t, "sec")
		ns := rapid.Int64Range(0, nanosPerSecond-1).Draw(t, "ns")
		zone := time.FixedZone("", rapid.IntRange(-23*60, 23*60).Draw(t, "offset")*60)
		at := time.Unix(sec, ns).In(zone)
		layouts := map[string]int64{
			time.RFC3339Nano:                      at.UnixNano(),
			"2006-01-02 15:04:05.999999999Z07:00": at.UnixNano(),
			"2006-01-02T15:04:05.000-0700":        at.Truncate(time.Millisecond).UnixNano(),
			"02/Jan/2006:15:04:05 -0700":          sec * nanosPerSecond,
		}
		if sec < 0 { // digits below the millisecond are dropped toward the past; Truncate rounds toward zero
			layouts["2006-01-02T15:04:05.000-0700"] = sec*nanosPerSecond + ns/1e6*1e6
		}
		for layout, want := range layouts {
			text := at.Format(layout)
			if got, ok := parseTime(text); !ok || got != want {
				t.Errorf("parseTime(%q): got %d, %v; want %d", text, got, ok, want)
			}
		}
	})
}

// TestEpochIsExact checks that a time since 1970 is exact in every unit.
func TestEpochIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64Range(minMillis*1e6, math.MaxInt64).Draw(t, "ns") // large enough that no unit is taken for another
		for _, digits := range []int{9, 6, 3, 0} {
			unit := int64(math.Pow10(digits))
			text := fmt.Sprintf("%d", ns/unit)
			if digits > 0 {
				text += fmt.Sprintf(".%0*d", digits, ns%unit)
			}
			if got, ok := parseEpoch(text); !ok || got != ns {
				t.Errorf("parseEpoch(%s): got %d, %v; want %d", text, got, ok, ns)
			}
		}
	})
}

// FuzzTime compares the parser with the standard library, for texts that both accept.
func FuzzTime(f *testing.F) {
	for _, s := range []string{"2026-01-01T10:00:00.5+02:00", "10/Oct/2000:13:55:36 -0700", "1767261600.1",
		"2026-01-01 10:00:00", "2024-02-29T00:00:00Z", "x"} {
		f.Add(s)
	}
	layouts := []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "02/Jan/2006:15:04:05 -0700"}
	strict := regexp.MustCompile(`^(\d{4}-\d\d-\d\d[T ]|\d\d/[A-Z][a-z]{2}/\d{4}:)\d\d:\d\d:\d\d([.,]\d+)?(Z| ?[+-]([01]\d|2[0-3]):?[0-5]\d)?$`)
	f.Fuzz(func(t *testing.T, text string) {
		src, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := Time(string(src), whole(t, string(src)))
		for _, layout := range layouts {
			at, err := time.Parse(layout, text)
			if err != nil || !strict.MatchString(text) {
				continue // not a time, or accepted by a lenience of the library: an hour of one digit, an offset of 24 h
			}
			if at.Unix() <= math.MinInt64/nanosPerSecond || at.Unix() >= math.MaxInt64/nanosPerSecond {
				continue
			}
			if !ok || got != at.UnixNano() {
				t.Errorf("Time(%q): got %d, %v; want %d", text, got, ok, at.UnixNano())
			}
		}
		if ok && len(text) > 4 && text[4] == '-' {
			if _, err := time.Parse("2006-01-02", text[:10]); err != nil {
				t.Errorf("Time(%q) is ok, but the day does not exist: %v", text, err)
			}
		}
	})
}
