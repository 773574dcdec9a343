package formats

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema/scan"
)

// What is scaled digit by digit is what is scaled as a number.
func TestScaledPlain(t *testing.T) {
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`"?-?(0|[1-9][0-9]{0,5}|[0-9]{1,18})?(\.[0-9]{0,10}){0,2}(e1)?"?`).Draw(t, "text")
		v, err := scan.Valid(text)
		if err != nil {
			return
		}
		for _, unit := range []int64{1, 100, 1e3, 1e6, 1e9} {
			got, ok := scaledPlain(Node{text, v}, unit)
			if !ok {
				continue
			}
			plain++
			if want, ok := scaledAny(Node{text, v}, unit); !ok || got != want {
				t.Errorf("%s of %d ns: got %d, want %d %v", text, unit, got, want, ok)
			}
		}
	})
	if plain == 0 {
		t.Error("no number is plain")
	}
}
