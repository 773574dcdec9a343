package host

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Test(m.Run)) }
