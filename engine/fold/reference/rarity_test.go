package reference_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules"
)

func drawRarity(t *rapid.T, r *rules.Rule) {
	r.Rarity = &rules.Rarity{
		Of: r.Key[:1], Share: rapid.Int64Range(1, 10).Draw(t, "share") * 1e8, MinSamples: rapid.Int64Range(1, 5).Draw(t, "min samples"),
		History: duration(t, "pane", 1, 3) * 64, MaxValues: rapid.IntRange(1, 4).Draw(t, "max values"),
	}
}

func TestRarityIsAsWritten(t *testing.T) { property(t, rules.KindRarity) }
