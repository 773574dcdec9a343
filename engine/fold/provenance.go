package fold

import "github.com/aidr-engine/aidr/rules"

func (p *Program) setProvenance(*rules.Provenance) { panic("BUG: rules do not load") }
