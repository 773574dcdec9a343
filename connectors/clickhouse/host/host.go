// Package host runs ClickHouse's own engine in a child process, for integration tests, local use and evaluation. It needs
// one library from npm, no server, and runs a single node. Production uses a ClickHouse server or ClickHouse Cloud.
//
// The child runs this same program, or aidr-clickhouse for a program that is built without the engine (build tag noengine),
// with a hidden first argument. Main, which main and TestMain call before anything else, recognises the argument, loads
// the library without cgo and does not return. The engine listens only on loopback, on a native port of its own and on
// request for HTTP, and has a user whose password is given or generated:
//
//	parent                                   child (own process group)
//	Start: config.xml, users.xml, 3 pipes -> Main: dlopen libchdb.so, chdb_query_cmdline
//	       <- fd 3: "tcp_port http_port"          SYSTEM START LISTEN; SELECT getServerPort(...)
//	Stop:  closes fd 4 ------------------->       INSERT ... FROM INFILE '/proc/self/fd/4' ends, so does the engine
//	killed: stdin closes ----------------->       watch: ends the process if the engine does not
package host

import (
	"fmt"
	"os"
	"time"
)

// hostArgument is the first argument of a process that runs the engine. The path of the library and the command line of
// the engine follow it.
const hostArgument = "__clickhouse-engine"

// orphanGrace is how long an engine may take to stop by itself after its parent has ended. It needs about 5 s while a
// client has an idle connection.
const orphanGrace = 15 * time.Second

// Main returns immediately unless Start has started the process; then it runs the engine and exits. It must be called
// before flags are parsed, because the arguments of the child are not flags of the program.
func Main() {
	if len(os.Args) < 3 || os.Args[1] != hostArgument {
		return
	}
	go endWithParent(os.Stdin)
	if err := runLibrary(os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// endWithParent ends this process orphanGrace after its stdin was closed. The parent keeps stdin open and never writes to
// it.
func endWithParent(stdin *os.File) {
	var b [1]byte
	for {
		if _, err := stdin.Read(b[:]); err != nil {
			break
		}
	}
	time.Sleep(orphanGrace)
	os.Exit(3)
}
