package reference

import (
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

func baseline(*rules.Rule, []indexed, schema.Instant) []trigger { panic("BUG: rules do not load") }
