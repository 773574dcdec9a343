package connectors

import "github.com/aidr-engine/aidr/schema"

// RowBlock is rows of tables other than findings: the inventory, how rules and sources fare, the rules themselves, attempts of
// deliveries, dead letters and archived events. They hold absolute values: of two rows with one key the one with the higher Pos
// counts, and other rows of one key are equal, so a block may be written any number of times.
type RowBlock struct {
	// Pos is the number of the checkpoint that made the rows; all rows have it. Part numbers the blocks of one checkpoint.
	Pos         uint64
	Part        int
	Agents      []*schema.Agent
	Credentials []*schema.Credential
	Tools       []*schema.Tool
	Activity    []*schema.Activity
	Stats       []*schema.RuleStats
	Quality     []*schema.SourceQuality
	Rules       []*schema.RuleInfo
	Attempts    []*schema.Attempt
	Dead        []*schema.DeadLetterRow
	Events      []*schema.ArchivedEvent
}

// Len returns the number of rows.
func (b *RowBlock) Len() int {
	return len(b.Agents) + len(b.Credentials) + len(b.Tools) + len(b.Activity) + len(b.Stats) + len(b.Quality) + len(b.Rules) +
		len(b.Attempts) + len(b.Dead) + len(b.Events)
}
