package contain

import (
	"strings"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// Automation is what containments that rules request lead to.
type Automation string

// The settings of automation.
const (
	AutomationOff     Automation = "off"     // nothing
	AutomationMonitor Automation = "monitor" // they are recorded and restrain nothing, whatever mode the rule has
	AutomationEnforce Automation = "enforce" // the mode of the rule counts
)

// The defaults of a Policy.
const (
	DefaultMaxContained = 10
	DefaultMaxShare     = 0.05
	DefaultCooldown     = 10 * time.Minute
	DefaultAskFor       = time.Hour
	DefaultApprovalFor  = 15 * time.Minute
	DefaultVerifyAfter  = 5 * time.Minute
	DefaultGrace        = time.Minute
	DefaultTTL          = time.Hour
	DefaultKeep         = 90 * 24 * time.Hour
	MinTTL              = time.Second
	MaxTTL              = 366 * 24 * time.Hour // a restraint that lasts longer is a change of permissions
)

// Limits of a table.
const (
	MaxProposals     = 1_000  // proposals that wait at a time; automation that wants more is counted
	MaxApprovals     = 10_000 // approvals of held calls that wait at a time
	MaxApprovalsEach = 100    // of one containment: an agent must not flood people with calls that differ a little
	MaxPerPrincipal  = 256    // active containments of one agent, credential, session or server: a question reads them one by one
	MaxKey           = 200    // bytes of an idempotency key
	changesKept      = 4_096  // changes that Since can give before it gives a full snapshot
)

// Policy bounds what automation may do. The zero value means the defaults.
type Policy struct {
	Automation Automation
	// MaxContained and MaxShare bound the agents that automation restrains at one time: their number, and their share of the
	// agents that are known. The lower one counts, and at least one agent is allowed. Beyond it a person is asked.
	MaxContained int
	MaxShare     float64
	// Cooldown is the time after the end of an automatic containment in which the same rule does not contain the same target.
	Cooldown time.Duration
	// Never lists agents and credentials that are not contained, as globs of uids in which * means any text.
	Never []string
	// AskFor is how long a proposal waits for a person, and ApprovalFor how long a held call, or its approval, does.
	AskFor, ApprovalFor time.Duration
	// VerifyAfter is the event time without a success after which denials prove a containment, and Grace the event time after its
	// beginning in which calls do not disprove it: those under way, and the memory of gateways.
	VerifyAfter, Grace time.Duration
	// Keep is how long the ledger keeps responses that have ended.
	Keep time.Duration
}

// WithDefaults returns the policy with the default of everything that is not set.
func (p Policy) WithDefaults() Policy {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	if p.Automation == "" {
		p.Automation = AutomationEnforce
	}
	if p.MaxContained <= 0 {
		p.MaxContained = DefaultMaxContained
	}
	if p.MaxShare <= 0 {
		p.MaxShare = DefaultMaxShare
	}
	set(&p.Cooldown, DefaultCooldown)
	set(&p.AskFor, DefaultAskFor)
	set(&p.ApprovalFor, DefaultApprovalFor)
	set(&p.VerifyAfter, DefaultVerifyAfter)
	set(&p.Grace, DefaultGrace)
	set(&p.Keep, DefaultKeep)
	return p
}

// isNever returns the glob of Never that a text matches, or "".
func (p *Policy) isNever(text string) string {
	for _, g := range p.Never {
		if text != "" && globMatches(g, text) {
			return g
		}
	}
	return ""
}

// globMatches reports whether a text matches a glob in which * means any text, in time proportional to both.
func globMatches(glob, text string) bool {
	parts := strings.Split(glob, "*")
	if len(parts) == 1 {
		return glob == text
	}
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}

// Directory knows agents: the registry of a site, and the inventory of what was seen. Its methods may be called concurrently
// and must not block. known is false if it cannot tell, which is never taken for an empty answer.
type Directory interface {
	// Identity returns the other uids of an agent and the ids of the credentials that it used.
	Identity(tenant, agent string) (aliases, credentials []string)
	// Users returns the uids of the agents that used a credential.
	Users(tenant, credential string) (agents []string, known bool)
	// Fleet returns the number of agents of a tenant.
	Fleet(tenant string) (agents int, known bool)
	// Calls returns the number of calls in the last hour that a containment of the scope and target would restrain.
	Calls(scope schema.ContainmentScope, t schema.Target) (perHour int64, known bool)
}
