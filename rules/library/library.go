// Package library embeds the rules that ship with AIDR and the lists that they use: for API gateways (api), clouds and SaaS
// (cloud), several sources together (cross), LLM gateways and agents' tool calls (llm, mcp), the way of values through an agent
// (flow), the identities of agents (identity), and agents that go on after they were refused (response).
//
// A rule is accepted here only if it can be read in a minute, lists its known false positives (false_positives), has one
// test that fires and one that does not, and stays quiet on ordinary work: wording alone never makes a finding of high
// severity, and rules for new values learn for a week first.
package library

import "embed"

// FS holds the rule files, and the lists in the folder lists.
//
//go:embed api cloud cross flow identity llm mcp response lists
var FS embed.FS
