package fold

import "github.com/aidr-engine/aidr/rules"

func (p *Program) setRarity(*rules.Rarity) { panic("BUG: rules do not load") }
