package expr_test

import (
	"fmt"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

func ExampleEnv_Compile() {
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		fmt.Println(err)
		return
	}
	cond, issues := env.Compile(`event.class == "tool" && raw.arguments.path.startsWith("/etc/")`)
	if issues != nil {
		fmt.Println(issues)
		return
	}
	e := &schema.Event{}
	e.SetText(schema.EventClass, "tool")
	for range env.RawPaths() {
		e.Raws = append(e.Raws, schema.StringValue("/etc/passwd")) // decoding reads the values at these paths
	}
	holds, err := cond.Eval(e, predicate.NewScratch())
	fmt.Println(holds, err)

	_, issues = env.Compile(`event.clas == "tool"`)
	for _, i := range issues {
		fmt.Printf("%d:%d: %s\n", i.Line, i.Col, i.Text)
	}
	// Output:
	// true <nil>
	// 1:6: there is no field event.clas: did you mean event.class?
}
