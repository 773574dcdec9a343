package connectors

import "github.com/aidr-engine/aidr/schema"

// RowBlock is rows of the inventory. They hold absolute values: of two rows with one key the one with the higher Pos counts, so a
// block may be written any number of times.
type RowBlock struct {
	// Pos is the number of the checkpoint that made the rows; all rows have it. Part numbers the blocks of one checkpoint.
	Pos         uint64
	Part        int
	Agents      []*schema.Agent
	Credentials []*schema.Credential
	Tools       []*schema.Tool
	Activity    []*schema.Activity
}

// Len returns the number of rows.
func (b *RowBlock) Len() int {
	return len(b.Agents) + len(b.Credentials) + len(b.Tools) + len(b.Activity)
}
