//go:build !race

package fold_test

// underRace says that the race detector is on.
const underRace = false
