// Package library holds the rules that ship with AIDR, and the lists that they ask: cloud audit (aws), API gateways
// (gateway), LLM gateways and agents' tool calls (llm, mcp), and who is who (identity).
//
// A rule is here only if it can be read in a minute, names what it cannot tell apart (false_positives), carries a test
// that fires and one that does not, and stays quiet on ordinary work: words alone are never a high finding, and
// first-seen rules learn for a week before they speak.
package library

import "embed"

// FS holds the rule files and, in lists, the lists.
//
//go:embed aws gateway identity llm mcp lists
var FS embed.FS
