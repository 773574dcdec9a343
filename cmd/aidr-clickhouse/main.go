// Command aidr-clickhouse runs ClickHouse's own engine for the released aidr, which is static and therefore cannot load the
// engine's library. aidr starts it; it has no commands of its own. `aidr clickhouse install|serve` and `aidr demo --clickhouse`
// find it beside aidr or in PATH.
package main

import (
	"fmt"
	"os"

	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
)

func main() {
	host.Main() // does not return if aidr has started this process
	fmt.Fprintln(os.Stderr, "aidr-clickhouse: aidr starts this program: run `aidr clickhouse serve` or `aidr demo --clickhouse`")
	os.Exit(2)
}
