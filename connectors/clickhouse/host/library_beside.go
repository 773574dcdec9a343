//go:build linux && amd64 && noengine

package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ProgramName is the name of the program that runs the engine for a program without it, such as the released aidr, which
// is static. The engine needs libc, so it cannot be part of a static program.
const ProgramName = "aidr-clickhouse"

func runLibrary(path string, args []string) error { return supported() }

// program returns the path of the program that runs the engine: the one beside this program, else the one in PATH.
func program() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), ProgramName)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(ProgramName)
	if err != nil {
		return "", fmt.Errorf("run engine: this aidr is static and the program %s, which runs the engine, is neither beside it nor in PATH: "+
			"take it from the same release, or use a ClickHouse server (--clickhouse DSN)", ProgramName)
	}
	return path, nil
}

// supported returns an error if no program can run the engine.
func supported() error {
	_, err := program()
	return err
}
