package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// UseKind is a kind of value that the inventory records of an agent, a credential or a tool, such as the models that it
// uses. The numbers are part of the format of State: kinds are added at the end.
type UseKind uint8

// The kinds of values, each with the field of the event that it is taken from.
const (
	UseName           UseKind = iota // ai_agent.name
	UseSource                        // ai_agent.uid_source: the rung of the identity
	UseDeclared                      // ai_agent.declared_uid
	UseWorkflow                      // ai_agent.workflow
	UseFramework                     // ai_agent.type
	UseDataset                       // event.dataset: the sources that show the entity
	UseAgent                         // ai_agent.uid
	UseCredential                    // credential.uid
	UseCredentialType                // credential.type
	UseUser                          // user.id of a user.type other than ai_agent
	UseOnBehalfOf                    // on_behalf_of.id: the person who delegated
	UseClientApp                     // client.app.id, else client.app.name
	UseTool                          // gen_ai.tool.name of a call
	UseServer                        // mcp.server.name
	UseModel                         // gen_ai.response.model, else gen_ai.request.model
	UseProvider                      // gen_ai.provider.name
	UseDestination                   // url.domain, else service.target.name
	UseRoute                         // http.route
	UseCloudAction                   // event.action of an audit trail
	UseResourceType                  // resource.type
	UseAccount                       // cloud.account.id
	UseNetwork                       // the network of source.ip: /24 of IPv4, /48 of IPv6; else source.domain
	NumUses
)

var useNames = [NumUses]string{
	"names", "uid_sources", "declared_uids", "workflows", "frameworks", "datasets", "agents", "credentials",
	"credential_types", "users", "on_behalf_of", "client_apps", "tools", "mcp_servers", "models", "providers",
	"destinations", "routes", "cloud_actions", "resource_types", "accounts", "networks",
}

// String returns the name of the kind in JSON and SQL: a plural, such as models.
func (k UseKind) String() string { return useNames[k] }

// ParseUseKind returns the kind with the name.
func ParseUseKind(name string) (k UseKind, ok bool) {
	for i, n := range useNames {
		if n == name {
			return UseKind(i), true
		}
	}
	return 0, false
}

// Use is one value that an entity was seen with. Times are those at which events ended.
type Use struct {
	Name      string  `json:"name"`
	Count     int64   `json:"count"` // of events
	FirstSeen Instant `json:"first_seen"`
	LastSeen  Instant `json:"last_seen"`
}

// Uses are the values that an entity was seen with, by kind, each list sorted by name. Its JSON form is an object with the
// kinds that have values.
type Uses [NumUses][]Use

// MarshalJSON implements json.Marshaler.
func (u Uses) MarshalJSON() ([]byte, error) {
	out := make(map[string][]Use, len(u))
	for k, list := range u {
		if len(list) > 0 {
			out[UseKind(k).String()] = list
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler. Kinds of later versions are left out.
func (u *Uses) UnmarshalJSON(b []byte) error {
	var in map[string][]Use
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("read uses: %w", err)
	}
	*u = Uses{}
	for name, list := range in {
		if k, ok := ParseUseKind(name); ok {
			u[k] = list
		}
	}
	return nil
}

// Omitted is the number of events with a value that is not listed because the list of its kind is full, by kind. Its JSON
// form is an object with the kinds that are not 0.
type Omitted [NumUses]int64

// IsZero reports whether no value was left out.
func (o Omitted) IsZero() bool { return o == Omitted{} }

// MarshalJSON implements json.Marshaler.
func (o Omitted) MarshalJSON() ([]byte, error) {
	out := map[string]int64{}
	for k, n := range o {
		if n != 0 {
			out[UseKind(k).String()] = n
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *Omitted) UnmarshalJSON(b []byte) error {
	var in map[string]int64
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("read omitted: %w", err)
	}
	*o = Omitted{}
	for name, n := range in {
		if k, ok := ParseUseKind(name); ok {
			o[k] = n
		}
	}
	return nil
}

// Totals are sums over events. All of them saturate and none is negative, so they do not depend on the order of events.
type Totals struct {
	Events       int64 `json:"events"`
	Success      int64 `json:"success"` // event.outcome
	Failure      int64 `json:"failure"`
	Blocked      int64 `json:"blocked"` // disposition
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
	Cost         Cost  `json:"cost"`
}

// Add adds o to t.
func (t *Totals) Add(o *Totals) {
	t.Events = addSaturated(t.Events, o.Events)
	t.Success = addSaturated(t.Success, o.Success)
	t.Failure = addSaturated(t.Failure, o.Failure)
	t.Blocked = addSaturated(t.Blocked, o.Blocked)
	t.InputTokens = addSaturated(t.InputTokens, o.InputTokens)
	t.OutputTokens = addSaturated(t.OutputTokens, o.OutputTokens)
	t.Cost = Cost(addSaturated(int64(t.Cost), int64(o.Cost)))
}

// addSaturated adds two numbers that are not negative.
func addSaturated(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Cost is an amount of money in units of 10^-9 USD. Its JSON form is a number in USD.
type Cost int64

// costUnit is the number of units in one USD.
const costUnit = 1e9

// CostOf rounds an amount in USD. A negative amount and NaN count as 0.
func CostOf(usd float64) Cost {
	switch {
	case !(usd > 0):
		return 0
	case usd >= math.MaxInt64/costUnit:
		return math.MaxInt64
	}
	return Cost(math.Round(usd * costUnit))
}

// USD returns the amount in USD.
func (c Cost) USD() float64 { return float64(c) / costUnit }

// String returns the exact amount in USD as a decimal number without trailing zeros.
func (c Cost) String() string {
	s := fmt.Sprintf("%d.%09d", int64(c)/costUnit, int64(c)%costUnit)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// MarshalJSON implements json.Marshaler.
func (c Cost) MarshalJSON() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (c *Cost) UnmarshalJSON(b []byte) error {
	whole, part, _ := strings.Cut(string(b), ".")
	if len(part) > 9 {
		return fmt.Errorf("read cost %q: more than 9 digits after the point", b)
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", 9-len(part)), 10, 64)
	if err != nil {
		return fmt.Errorf("read cost %q: %w", b, err)
	}
	*c = Cost(n)
	return nil
}
