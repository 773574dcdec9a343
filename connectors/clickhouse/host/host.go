// Package host runs ClickHouse's own engine in a child process, for integration tests and local use: one library from
// npm, no server to install, single node, for evaluation; production is a ClickHouse server or cloud.
//
// The child is this same program, started again with a hidden first argument: Main, called first thing in main and in
// TestMain, recognises it, loads the library without cgo and never returns. The engine listens on its own native port
// (and HTTP where asked for), on loopback only, with a user whose password is given or generated:
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

// hostArgument marks a process that is started to be the engine; the arguments after it are the library's path and
// what the engine's command line gets.
const hostArgument = "__clickhouse-engine"

// orphanGrace is how long an engine whose parent is gone may take to stop by itself. It needs about 5 s while a client
// holds an idle connection.
const orphanGrace = 15 * time.Second

// Main returns at once in a process that was not started by Start. In one that was, it runs the engine and exits. It
// must come before flags are read: the arguments are not the program's.
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

// endWithParent ends this process some time after its stdin, which the parent holds and never writes to, is closed.
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
