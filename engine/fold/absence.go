package fold

import "github.com/aidr-engine/aidr/rules"

func (p *Program) setAbsence(*rules.Absence) { panic("BUG: rules do not load") }
