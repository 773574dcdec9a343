package formats

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema/scan"
)

// scaledPlain agrees with scaledAny on every number that it accepts.
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
				t.Errorf("%s times %d ns: got %d, want %d %v", text, unit, got, want, ok)
			}
		}
	})
	if plain == 0 {
		t.Error("scaledPlain accepted none of the numbers")
	}
}
