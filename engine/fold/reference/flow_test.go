package reference_test

import (
	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules"
)

func drawFlow(*rapid.T, *rules.Rule) { panic("BUG: rules do not load") }
