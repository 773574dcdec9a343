//go:build race

package decision

// underRace reports whether the race detector is on. A sync.Pool then drops items at random, and tests are slower.
const underRace = true
