package expr

import "regexp/syntax"

// A counted repeat costs more than its text: [^y]{0,900} is compiled to 900 copies of [^y], and a text in which the pattern
// may begin anywhere keeps all of them busy at each character. Each copy was measured to take 10 to 20 ns for a character,
// so that x[^y]{0,900}y on a text of nothing but x took 18 us for each character, where x[^y]*y took 30 ns.

// perCopy is the cost, in hundredths of cel-go's unit, of one instruction of a copy for one character: an instruction of
// regexp's machine is half of a copy.
const perCopy = 10

// repeatCost returns the cost of the counted repeats of a pattern for each character of a text, in hundredths of a unit. A
// pattern can begin no more often than the literal before its first repeat, so a long literal makes repeats cheaper.
func repeatCost(pattern string) uint64 {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || !hasRepeat(tree) {
		return 0 // compiling the condition reports an error
	}
	distance, _ := leastDistance(tree)
	whole := programSize(tree)
	openRepeats(tree)
	return uint64(max(whole-programSize(tree), 0)) * perCopy / uint64(max(distance, 1))
}

// programSize returns the number of instructions of a pattern.
func programSize(tree *syntax.Regexp) int {
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return 0
	}
	return len(prog.Inst)
}

func hasRepeat(tree *syntax.Regexp) bool {
	if tree.Op == syntax.OpRepeat {
		return true
	}
	for _, sub := range tree.Sub {
		if hasRepeat(sub) {
			return true
		}
	}
	return false
}

// openRepeats replaces x{m,n} by x*.
func openRepeats(tree *syntax.Regexp) {
	if tree.Op == syntax.OpRepeat {
		tree.Op = syntax.OpStar
	}
	for _, sub := range tree.Sub {
		openRepeats(sub)
	}
}

// leastDistance returns the least number of characters between two places at which the first counted repeat of the pattern
// can begin: that of the literals before it. repeated is false if the pattern has no counted repeat. distance is
// 0 if the pattern may begin with it.
func leastDistance(tree *syntax.Regexp) (distance int, repeated bool) {
	switch tree.Op {
	case syntax.OpLiteral:
		return period(tree.Rune), false
	case syntax.OpRepeat:
		return 0, true
	case syntax.OpConcat:
		for _, sub := range tree.Sub {
			d, repeated := leastDistance(sub)
			if distance = max(distance, d); repeated {
				return distance, true
			}
		}
		return distance, false
	case syntax.OpAlternate:
		for i, sub := range tree.Sub {
			d, r := leastDistance(sub)
			if repeated = repeated || r; i == 0 || d < distance {
				distance = d
			}
		}
		return distance, repeated
	case syntax.OpCapture, syntax.OpPlus:
		return leastDistance(tree.Sub[0])
	case syntax.OpStar, syntax.OpQuest:
		_, repeated = leastDistance(tree.Sub[0])
		return 0, repeated
	}
	return 0, false
}

// period returns the least distance between two occurrences of a text: 1 for aaa, 2 for abab, 3 for abc.
func period(text []rune) int {
	for p := 1; p < len(text); p++ {
		if string(text[p:]) == string(text[:len(text)-p]) {
			return p
		}
	}
	return len(text)
}
