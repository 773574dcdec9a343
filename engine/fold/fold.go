// Package fold is State and the kinds: what one (rule, group key) remembers, and how items in event-time order become
// triggers, groups and findings. It is pure: no clock, no goroutine, no I/O; time comes with items and watermarks.
//
//	hit -> Capturer -> item.Item -> Cell.Add -> pending --Advance--> base --settle--> Cut -> Finding
//	                                          \____ live ____________ open _______/
//
// A Cell is what one owner remembers. Items may come in any order above the watermark; what they mean does not depend
// on it. Each kind is a function from State and item to State and perhaps a trigger (kind.go); triggers of one group
// key become groups (group.go), and groups findings (finding.go). What a cell emitted it remembers until the watermark
// has passed it, so that an answer that a straggler changes is corrected or taken back (cut.go).
//
// All State is flat bytes whose form stands at each type. They are written by Append and checked by LoadCell; a change
// of their form raises cellFormat.
package fold
