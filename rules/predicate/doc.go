// Package predicate evaluates compiled conditions over an event, over the steps of a sequence and over a finding. It does
// not use CEL: package expr compiles CEL into the nodes of this package, and is the only importer of cel-go.
//
// A condition is a tree of nodes over field slots. A Slot is one value that the condition reads: a field of the event,
// a raw path of the record, an attribute of the agent, a captured value of a step, or a value of a finding, each with a
// path of keys below it if the value is JSON. Cond.Eval walks the tree. Nodes neither box values nor allocate, apart
// from rare cases: a part of a URL, a text that has to be lowered or normalised, and the equality of two JSON values. A
// Computed node holds a part of a condition that expr could only leave to CEL. Everything that a node needs during the
// evaluation is in the Scratch of its worker, so one condition serves all workers at once.
//
// # Lenient evaluation
//
// Logs are incomplete, so a condition must have a verdict for any event.
//
//   - A schema field that is absent has its type's zero value: session.id == "" holds for an event without a session.
//   - A raw path or a key of a JSON value that is absent, or null, is missing. On a missing value ==, <, <=, >, >=, `in`,
//     the text functions and exists are false, != and == null are true, and its size is 0. Two missing values are not
//     equal: a join on a value that neither side has would hold for all events.
//   - A text that is not an address or not a URL is without properties: the answer is false or "", never an error.
//     Otherwise one bad character would hide a hit.
//   - Every other mismatch, such as an order between a text and a number, is an error, and an error counts as no match. As
//     in CEL, an error does not matter if the other operands decide: false && error is false, true || error is true.
//     Therefore operands may be evaluated in any order, and the cheap ones come first.
//
// Package expr keeps the same rules in the functions that it gives to CEL, and its tests compare both with each other and
// with cel-go on random conditions.
//
// # Facts
//
// An Atom is a fact about the value of one slot that an index finds by looking the value up: a text equals, begins with,
// ends with or contains something, a number is in a range, an address is in a network, a value is absent. FactOf
// returns the clause of a test: a disjunction of atoms without which the test is false, and does not fail either. For a raw
// path the clause of a text test therefore contains the values that are not texts, on which the test fails. The fact of a
// negation is that of !test. Package match combines the clauses of the tests of a condition along its Formula, and evaluates
// the condition only for the events that satisfy them.
//
// A search ignores case: AtomContains compares texts after FoldText, so that one pass over a text finds the literals of
// contains, icontains, glob and matches alike. If the test does not ignore case, or its literal is long, the atom is
// necessary for the test and does not decide it.
//
// A Witness is the older and narrower form: the value of one field is among a few values, or in a list. It shows the
// datasets that a condition needs.
//
// # Alternatives in one text
//
// Rules look for many phrases in one text: a || of patterns, contains and icontains. Evaluating them one by one takes a
// pass over the text for each. Most alternatives require some literal, that is, a text of at least three bytes that every
// match contains, and most events contain none of the literals. Therefore a single pass over the text finds the
// alternatives of which a literal is present, and only those run: forty alternatives take about as long as one on an
// ordinary text.
//
// The pass compares the last four bytes read with a window of each literal, all windows at once (up to 64 alternatives,
// one bit each). Windows of three bytes were too short: in prose, three given bytes are often there by chance. A
// literal of three bytes has a window in which any fourth byte is right. The window is the part of the literal that is
// rarest in prose. If the test ignores case, letters that also fold to a character outside of ASCII, such as k (the
// Kelvin sign) and s (the long s), cannot be in a window, because the pass compares bytes. A single alternative is
// evaluated alone, because its own search is as fast.
//
// A Pattern searches for its literals in the same manner before it runs: the search takes about a nanosecond a byte, a
// twentieth of the time of the regular expression. Neither search changes a verdict: it is that of the alternatives
// evaluated one by one, errors included.
//
// # Shared verdicts
//
// Many rules contain the same costly test, a search in a text or a || of such searches. SharedTests gives all conditions
// of one environment the same node for the same test. Between Scratch.Begin and Scratch.End that node evaluates once, and
// the Scratch remembers its verdict. This requires that the event does not change in between, and that all conditions come
// from the same environment, because a shared node is known by its number there.
package predicate
