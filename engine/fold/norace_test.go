//go:build !race

package fold_test

// underRace reports whether the race detector is on.
const underRace = false
