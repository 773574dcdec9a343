package rules

import (
	"crypto/sha256"
	"time"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// LimitReached is the id of the built-in rule whose findings report that a rule forgot something, because a key reached one
// of the limits of its kind: flooding the memory of a rule to hide is itself a finding. Its items are the
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

// The ids of the operational rules.
const (
	SourceSilent      = builtinPrefix + "source-silent"
	SourceUnreadable  = builtinPrefix + "source-unreadable"
	RuleFailing       = builtinPrefix + "rule-failing"
	RuleSlow          = builtinPrefix + "rule-slow"
	CheckpointFailing = builtinPrefix + "checkpoint-failing"
	OutboxFull        = builtinPrefix + "outbox-full"

	ContainedStillCalls = builtinPrefix + "contained-agent-still-calls"
	CanaryMissing       = builtinPrefix + "canary-missing"
)

// Operational is a built-in rule about the running process. The engine makes its findings while a condition holds, by the
// wall clock; they are no function of the records, appear in no replay, and are items of no rule.
type Operational struct {
	ID          string
	Version     int
	Title       string
	Description string // the condition, and the remedy
	Severity    schema.Severity
}

// OperationalRules returns the operational rules. The caller owns the slice.
func OperationalRules() []Operational {
	return []Operational{
		{SourceSilent, 1, "A source fell silent",
			"A source that had records has none for the time of its silent_after, although it is connected. Check that its " +
				"producer still writes logs: an attacker may have stopped them.", schema.SeverityMedium},
		{SourceUnreadable, 1, "A source cannot be read",
			"The connection to a source has been failing for minutes. Nothing is lost as long as the source keeps its records; " +
				"findings are late. Check the brokers, the network and the credentials.", schema.SeverityHigh},
		{RuleFailing, 1, "The conditions of a rule cannot be evaluated",
			"Conditions of a rule fail for a large part of the events that they should judge, so the rule may miss events. " +
				"Compare the rule with such an event (aidr rules explain), and guard values that may be absent or of another type.",
			schema.SeverityMedium},
		{RuleSlow, 1, "A rule is slow",
			"A rule takes a large part of the time of the engine. No event is skipped for it. Make its condition or its key " +
				"narrower, or disable it.", schema.SeverityMedium},
		{CheckpointFailing, 1, "Checkpoints failed",
			"The state directory could not be written, and reading was paused. The finding is written once the directory can be " +
				"written again. Check the disk and its free space.", schema.SeverityHigh},
		{OutboxFull, 1, "The outbox is full",
			"A sink that may not lose findings is away, so reading is paused until it takes findings again. Nothing is lost as " +
				"long as the sources keep their records. Check the sink (aidr status).", schema.SeverityHigh},
		{ContainedStillCalls, 1, "A contained agent still calls",
			"Calls of a contained agent, session or credential passed after its containment began. A gateway on their way does not " +
				"ask for decisions, ignores the answers, or knows the agent by a name or credential that the containment does not " +
				"cover. Look at the sources and routes of the calls (aidr responses show), and stop the agent there.", schema.SeverityCritical},
		{CanaryMissing, 1, "The canary is missing",
			"A synthetic event of the canary gave no finding, or its delivery did not arrive, in the time that it has. Detection or " +
				"delivery does not work, even if nothing else reports it. Look at aidr canary, aidr status and the log.", schema.SeverityHigh},
	}
}
