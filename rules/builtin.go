package rules

import (
	"crypto/sha256"
	"time"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// LimitReached is the id of the built-in rule whose findings report that a rule forgot something, because a key reached one
// of the limits of its kind: somebody who floods the memory of a rule to hide is a finding of his own. Its items are the
// losses of all other rules, folded below the watermark like those of any rule, and it feeds none.
const LimitReached = builtinPrefix + "limit-reached"

// builtins returns the built-in rules for a Set whose other rules have levels up to top.
func builtins(env *expr.Env, top int) []*Rule {
	cond, issues := env.CompileTrigger(always)
	if len(issues) > 0 {
		panic("BUG: " + issues[0].Text)
	}
	r := &Rule{
		ID: LimitReached, Version: 1, Title: "A rule forgot something, because a key reached a limit",
		Description: "Decoys, a flood or very many values made a rule give up part of what it remembers of a key. The finding " +
			"names the rule and the limit (error.type), and the key. Somebody may hide in this way: look at what the key did.",
		Severity: schema.SeverityMedium, Confidence: defaultConfidence, Stage: StageStable, Kind: KindNone,
		Over: &Over{}, Level: top + 1, Key: FieldOperands(schema.RuleID), GroupBy: []int{0}, GroupFor: time.Hour,
	}
	r.Roles = []Role{{Cond: cond, Key: r.Key}}
	r.Mentions = mentionsOf(r)
	for _, f := range []schema.Field{schema.ErrorType, schema.SessionID, schema.CredentialUID} {
		o := FieldOperand(f)
		r.Mentions = append(r.Mentions, o.Mentions()...)
	}
	sum := sha256.Sum256([]byte(shapeText(r)))
	r.Shape = [16]byte(sum[:16])
	return []*Rule{r}
}
