package inventory

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// Rank orders the entities of a kind by how much they deserve a look: by the day of their newest behaviour, then by their
// reach. It changes rarely, so that an index by rank costs little.
type Rank uint64

// day is the unit in which Rank counts new behaviour.
const day = schema.Instant(24 * 60 * 60 * 1e9)

// reachKinds are the kinds of values that an entity reaches.
var reachKinds = [...]schema.UseKind{
	schema.UseTool, schema.UseServer, schema.UseDestination, schema.UseCloudAction, schema.UseResourceType, schema.UseAccount,
	schema.UseCredential, schema.UseAgent,
}

// Reach returns the number of different tools, MCP servers, destinations, cloud actions, types of resources, accounts,
// credentials and agents that the entity was seen with.
func (e *Entity) Reach() (n int) {
	for _, kind := range reachKinds {
		n += len(e.Uses[kind])
	}
	return n
}

func rankOf(r *record) Rank {
	reach := 0
	for i := range r.uses {
		if slices.Contains(reachKinds[:], r.uses[i].kind) {
			reach++
		}
	}
	return rank(r.newest, reach)
}

func rank(newest schema.Instant, reach int) Rank {
	return Rank(max(0, newest/day))<<16 | Rank(min(reach, 1<<16-1))
}

// Rank returns the rank of the entity.
func (e *Entity) Rank() Rank { return rank(e.NewestUse, e.Reach()) }

// RankKey returns the entry of the index by rank for an entity: its kind, the rank with its bits inverted, so that the
// highest comes first, and the flat key.
func RankKey(key string, r Rank) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{key[0]}, uint64(^r)), key...)
}

// rankKeyHead is the length in bytes of what precedes the flat key in an entry of the index.
const rankKeyHead = 9

// RankedKey is an entity's flat key with its rank.
type RankedKey struct {
	Key  string
	Rank Rank
}

// ReadRankKey returns what RankKey made an entry of; ok is false if it is damaged.
func ReadRankKey(entry []byte) (k RankedKey, ok bool) {
	if len(entry) <= rankKeyHead {
		return RankedKey{}, false
	}
	return RankedKey{string(entry[rankKeyHead:]), Rank(^binary.BigEndian.Uint64(entry[1:]))}, true
}

// maxRankReads is the number of entities of which one call of Top reads base: a tenth of a second. Those that were read are
// remembered, so the next call goes on.
const maxRankReads = 10_000

// Top returns the n entities of a kind with the highest rank among those that the store does not have as they are now, the
// highest first.
func (s *Shard) Top(kind Kind, n int) []RankedKey {
	var all []RankedKey
	reads := 0
	for key, p := range s.pending {
		if key[0] != byte(kind) {
			continue
		}
		if p.ranked != p.changed && reads < maxRankReads {
			reads++
			s.overlay(s.base(key), p.minutes)
			p.ranked, p.rank = p.changed, rankOf(&s.a)
		}
		all = append(all, RankedKey{key, p.rank})
	}
	for key, own := range s.inflight {
		if key[0] == byte(kind) && s.pending[key] == nil {
			all = append(all, RankedKey{key, own.rank})
		}
	}
	SortRanked(all)
	return slices.Clone(all[:min(n, len(all))])
}

// SortRanked sorts by rank, the highest first, then by key.
func SortRanked(all []RankedKey) {
	slices.SortFunc(all, func(a, b RankedKey) int {
		return cmp.Or(-cmp.Compare(a.Rank, b.Rank), strings.Compare(a.Key, b.Key))
	})
}

// Changed returns up to most entities of a kind that changed after the change with a number, which is 0 for all that the
// shard holds, and the number of the last change. If there are more, the others are not returned.
func (s *Shard) Changed(kind Kind, after uint64, most int) (changed []*Entity, last uint64) {
	for key, p := range s.pending {
		if key[0] != byte(kind) || p.changed <= after || len(changed) == most {
			continue
		}
		if k, ok := readKey([]byte(key)); ok {
			s.overlay(s.base(key), p.minutes)
			changed = append(changed, s.a.entity(k))
		}
	}
	slices.SortFunc(changed, func(a, b *Entity) int {
		return cmp.Or(cmp.Compare(a.LastSeen, b.LastSeen), strings.Compare(a.Name, b.Name), strings.Compare(a.Tenant, b.Tenant))
	})
	return changed, s.changes
}

// KeyOf returns the key of a flat key; ok is false if it is damaged.
func KeyOf(flat string) (k Key, ok bool) { return readKey([]byte(flat)) }
