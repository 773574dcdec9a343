package fold

import (
	"encoding/binary"
	"encoding/json"
	"strconv"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
)

// summand returns the number in an item's Data, at most item.MaxSummand; 0 if Data is not a number.
func summand(it *item.Item) rules.Decimal {
	if len(it.Data) != 16 {
		return rules.Decimal{}
	}
	b := []byte(it.Data)
	d := rules.Decimal{Hi: int64(binary.BigEndian.Uint64(b)), Lo: binary.BigEndian.Uint64(b[8:])}
	if d.Hi < 0 {
		return rules.Decimal{}
	}
	if most := rules.NewDecimal(item.MaxSummand, 0); most.Less(d) {
		return most
	}
	return d
}

// A unit is the unit in which a Decimal holds the values of a kind's triggers.
type unit uint8

const (
	unitNone  unit = iota // the kind has no value
	unitWhole             // 1
	unitNano              // 10^-9
)

// number renders d, which is not negative.
func (u unit) number(d rules.Decimal) json.Number {
	switch u {
	case unitWhole:
		return json.Number(strconv.FormatUint(d.Lo, 10))
	case unitNano:
		return json.Number(d.String())
	}
	return ""
}
