package inventory

import "github.com/aidr-engine/aidr/schema"

const NoMinute = noMinute

// FieldOf returns the field that a kind of value is taken from first.
func FieldOf(kind schema.UseKind) schema.Field { return useFields[kind][0] }

// Pending returns the flat keys of the pending entities of a shard.
func Pending(s *Shard) map[string]bool {
	out := map[string]bool{}
	for k := range s.pending {
		out[k] = true
	}
	return out
}

// ReadKey is readKey.
func ReadKey(b []byte) (Key, bool) { return readKey(b) }
