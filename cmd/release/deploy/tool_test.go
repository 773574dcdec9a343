package deploy

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// tool returns the path of a program, or skips the test if it is not here.
func tool(t *testing.T, name, remedy string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if slices.Contains(strings.Split(os.Getenv("AIDR_TEST_REQUIRE"), ","), "deploy") {
		t.Fatalf("%v: %s", err, remedy)
	}
	t.Skipf("%v: %s", err, remedy)
	return ""
}

// output runs a program and returns what it prints. The test fails if the program does.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	text, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, text)
	}
	return string(text)
}
