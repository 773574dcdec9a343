package fold

import "github.com/aidr-engine/aidr/rules"

func (p *Program) setFlow(*rules.Flow) { panic("BUG: rules do not load") }
