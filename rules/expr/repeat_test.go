package expr

import (
	"strings"
	"testing"
)

func TestRepeatCost(t *testing.T) {
	for pattern, want := range map[string]uint64{
		`abc`:                   0,
		`[a-z]+ .* x?`:          0,
		`x[^y]{0,900}y`:         18000 - 10, // the first copy is there in x[^y]*y, too
		`xx[^y]{0,900}y`:        18000 - 10, // xx occurs at each character of xxxx
		`abcdefghi.{0,900}y`:    2000 - 2,
		`(a|bcd)[^y]{0,900}y`:   18000 - 10,
		`(efg|bcd)[^y]{0,900}y`: 6000 - 4,
		`(?:abc)?.{0,900}y`:     18000 - 10,
		`(`:                     0,
	} {
		if got := repeatCost(pattern); got > want+200 || got+200 < want {
			t.Errorf("%s: got %d, want about %d", pattern, got, want)
		}
	}
	if got := repeatCost(`(x{1,30}){1,30}y`); got < 15000 {
		t.Errorf("repeats in repeats: got %d, want one copy for each pair", got)
	}
}

func TestPeriod(t *testing.T) {
	for text, want := range map[string]int{"": 0, "a": 1, "aa": 1, "ab": 2, "abab": 2, "abca": 3, "abc": 3} {
		if got := period([]rune(text)); got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
}

// A condition is refused if its counted repeats make it too slow, on texts for which the same pattern without bounds is
// accepted.
func TestCountedRepeatsAreRefused(t *testing.T) {
	for text, refused := range map[string]bool{
		`message_context.prompt_text.matches("x[^y]{0,900}y")`:              true,
		`message_context.prompt_text.matches("x[^y]*y")`:                    false,
		`message_context.prompt_text.matches("(x{1,30}){1,30}y")`:           true,
		`message_context.prompt_text.matches("abcdefgh[^y]{0,20}y")`:        false,
		`user_agent.original.matches("[a-z]{1,3}x")`:                        false,
		`session.id.matches("^[0-9a-f]{8}-[0-9a-f]{4}$")`:                   false,
		`gen_ai.tool.call.arguments.command.matches("(?i)curl.{0,50}bash")`: false,
	} {
		_, issues := newTestEnv(t).Compile(text)
		got := false
		for _, issue := range issues {
			got = got || strings.Contains(issue.Text, "the condition may cost")
		}
		if got != refused {
			t.Errorf("%s: got refused %v, want %v: %v", text, got, refused, issues)
		}
	}
}
