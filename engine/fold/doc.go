// Package fold turns the items of a rule into findings. It holds State, the memory of one (rule, group key), and the
// kinds of rules, which define how items in event-time order become triggers. It is pure: it has no clock, starts no
// goroutine and does no I/O. Time reaches it only as the times of items and as watermarks.
//
//	capture -> Item -> Cell.Add -> pending --Advance--> base --settle--> Emit -> Finding
//	                                   \____ live ____________ open _______/
//
// # Base, pending and live
//
// A Cell is the State of one owner. Items arrive in any order, but the watermark promises that the items below it are
// complete (an item that comes later is late, and the engine decides about it). The cell is split there:
//
//   - base is the result of folding all items below the watermark, in their total order. It is final.
//   - pending are the items at or above the watermark, sorted, not folded into base yet.
//   - live is the result of folding pending on top of base. It is the present knowledge: an item that arrives later may
//     still change it.
//
// Findings that are shown before the watermark has passed them come from live. Live is not kept up to date item by item,
// because one item that arrives out of order would have all of pending folded again. Instead Emit and Findings bring it
// up to date, at most once per call and so once per batch: if all new items came after the ones already folded, only
// these are folded; otherwise live is folded again from base. Live is stored as its difference from base, the State of
// the keys that pending items touched, and the groups.
//
// # Order and deadlines
//
// The items of a rule have a total order, (time, role, id) and then everything else in them (package item). Arrival is
// not part of it, so the same items give the same findings in whatever order, and after whatever crash, they came.
//
// A kind may need to act when time passes rather than when an item comes: a threshold over panes is evaluated at the end
// of a pane. Such a kind is timed, and its States have deadlines. Before a layer folds an item it fires the deadlines up
// to the item's time, in the order (time, key), so deadlines have their place in the order of items. Advancing the
// watermark fires those up to the watermark.
//
// # Groups and Emit
//
// Triggers of one group key whose times are within the rule's group.for of the first one make one group (group.go), and
// one group is one finding (finding.go). When the watermark reaches the end of a group of base, its finding settles: it
// never changes again. Until then the finding is open, and as long as its first trigger is not in base it may even
// disappear: an item that arrives later may come before it in the order, and so make the group start at another time, or
// not at all.
//
// Emit calls back with every finding that differs from its last emission: new and changed ones, settled ones, and a
// withdrawal for each that no longer exists. For that the cell remembers an emission (emit.go) per finding until the
// watermark has passed it: the revision, a hash of the group, and, as long as the finding may be withdrawn, the group.
//
// # Rules over rules
//
// The triggers of a rule that feeds others are handed on (trigger.go, Cell.Triggers), each as an item.Trigger with the
// key, the time, and the evidence and the carried values of its item. The caller makes items of the rules over it,
// which other cells fold like any items.
//
// Triggers that base fires are final. They are kept until they are handed on, and then forgotten. Live fires triggers
// too, which an item that arrives later may change. The cell remembers those that it handed on, compares them with the
// present ones of live, and hands on the difference: the ones to take back, and the new ones. A trigger that moves from
// live to base is among both, so nothing happens. Taking a trigger back is an item with Gone, which removes the pending
// item that is equal to it. That item is still pending, because the cells of the rules over this one advance only after
// they have its items.
//
// Deadlines trigger for other rules once they have passed the watermark, so live hands on none of them: an absence, and
// a pane even if its finding is already emitted. Such a trigger has no item, thus no evidence, and its identity is a
// hash of the key.
//
// The remembered triggers are part of the flat form of the cell, so a restart takes back exactly those that it has to.
//
// # State
//
// All State is flat bytes, whose form is described at each type. Append writes it and LoadCell checks it, so that damaged
// bytes are an error and never a panic. A change of a form raises cellFormat.
package fold
