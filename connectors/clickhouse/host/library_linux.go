//go:build linux && amd64 && !noengine

// Without cgo, purego makes the program load libc dynamically. The build tag noengine leaves out both the engine and this
// dependency: the released aidr is static, and the program aidr-clickhouse runs the engine for it (library_beside.go).
package host

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/ebitengine/purego"
)

// runLibrary loads the library and calls its one function that runs the engine to its end. args are arguments of
// clickhouse-local.
func runLibrary(path string, args []string) error {
	runtime.LockOSThread()
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("load library %q: %w", path, err)
	}
	var (
		query       func(argc int32, argv **byte) uintptr
		resultError func(result uintptr) string
	)
	purego.RegisterLibFunc(&query, lib, "chdb_query_cmdline")
	purego.RegisterLibFunc(&resultError, lib, "chdb_result_error")
	var pin runtime.Pinner
	defer pin.Unpin()
	argv := cStrings(&pin, append([]string{"clickhouse-local"}, args...))
	result := query(int32(len(argv)-1), &argv[0])
	if result == 0 {
		return errors.New("run engine: no result")
	}
	if text := resultError(result); text != "" {
		return fmt.Errorf("run engine: %s", text)
	}
	return nil
}

// cStrings returns args as an argv of C, which ends with a null pointer. pin pins all of its memory.
func cStrings(pin *runtime.Pinner, args []string) []*byte {
	argv := make([]*byte, 0, len(args)+1)
	for _, a := range args {
		b := append([]byte(a), 0)
		pin.Pin(&b[0])
		argv = append(argv, &b[0])
	}
	argv = append(argv, nil)
	pin.Pin(&argv[0])
	return argv
}

// program returns the program that runs the engine, which is this one.
func program() (string, error) { return os.Executable() }

// supported returns an error if the engine does not run on this platform.
func supported() error { return nil }
