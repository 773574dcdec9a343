package pipeline

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/rules"
)

// RulesDigest returns a digest of the rules of a configuration, hex, and their number. Two sites with the same digest have the same
// files of rules; lists and the registry do not count.
func RulesDigest(cfg *config.Config) (digest string, n int, err error) {
	set, problems := LoadRules(ruleFiles(cfg))
	if set == nil {
		return "", 0, errors.Join(problemErrors(problems)...)
	}
	all := slices.Clone(set.Rules)
	slices.SortFunc(all, func(a, b *rules.Rule) int { return cmp.Compare(a.ID, b.ID) })
	h := sha256.New()
	for _, r := range all {
		h.Write([]byte(r.ID))
		h.Write(r.Digest[:])
	}
	return hex.EncodeToString(h.Sum(nil)), len(all), nil
}
