// Package expr compiles CEL into the nodes of package predicate: conditions over an event, over the steps of a sequence and
// over a finding, and expressions that name an agent. It is the only importer of cel-go.
//
// A condition is compiled once, when a Set of rules is built:
//
//	text --parse--> names become calls that read slots (resolve.go) --check types-->
//	functions of operands that may be missing become lenient (lenient.go) --> nodes over slots (compile.go);
//	a part without a node of its own becomes a Computed node that runs CEL (program.go)
//
// Nodes neither box values nor allocate, so a condition that consists of other nodes only runs no CEL (Cond.Typed).
// A decorator within cel-go's planner was the alternative. It has to keep cel-go's interface, ref.Val, which boxes every
// result, and cel-go would still run every condition.
//
// # Lenient evaluation
//
// The meaning of absent and missing values is in the comment of package predicate. CEL does not have missing values:
// its operators return errors for operands that they do not expect. Therefore missing is a value of its own
// (missing.go), and each function that has a meaning for missing operands has a lenient form, named @@ and the
// function's name, which takes operands of any type (language.go). lenient.go finds the operands that may be missing,
// which are dyn values and the results of functions of them, and replaces the function only there. Elsewhere CEL's own
// function stays, and cel-go defines it.
//
// Every node therefore has two definitions: the node, and the CEL from which it was made. The tests compare
// them on random conditions and events, and, if no value may be missing, also with cel-go without this package.
//
// # Cost
//
// Env.Compile rejects a condition whose estimated cost is above MaxCost. The estimate assumes usual sizes of values, so a
// hostile event may cost more. Only comprehensions can take more than linear time, so they stop after maxSteps elements.
package expr
