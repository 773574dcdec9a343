// Command cel evaluates every rule on every record with cel-go. Usage:
//
//	cel maps|lazy RULES.txt LOG.jsonl
//
// With maps, encoding/json decodes a record into a map, as an obvious program does. With lazy, fastjson parses it, and a value
// becomes one of CEL only if a rule asks for it. It prints one line of JSON.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/valyala/fastjson"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: cel maps|lazy RULES.txt LOG.jsonl")
	}
	began := cpu()
	programs := load(os.Args[2])
	loading := cpu() - began
	records := lines(os.Args[3])
	decode := decodeMap
	if os.Args[1] == "lazy" {
		var p fastjson.Parser
		decode = func(record string) any {
			v, err := p.Parse(record)
			if err != nil {
				log.Fatal(err)
			}
			return object{v: v}
		}
	}
	pass := func() (matches int) {
		vars := map[string]any{}
		for _, record := range records {
			vars["e"] = decode(record)
			for _, p := range programs {
				// an absent value is an error, which is no match
				if v, _, err := p.Eval(vars); err == nil && v == types.True {
					matches++
				}
			}
		}
		return matches
	}
	least := 2 * time.Second
	if s := os.Getenv("PEER_SECONDS"); s != "" {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			log.Fatal(err)
		}
		least = time.Duration(f * float64(time.Second))
	}
	matches := pass()
	events, seconds := 0, time.Duration(0)
	for began := cpu(); events == 0 || seconds < least; seconds = cpu() - began {
		if pass() != matches {
			log.Fatal("a pass has other matches than the first")
		}
		events += len(records)
	}
	fmt.Printf(`{"engine":"cel-go 0.33.2 %s","rules":%d,"records":%d,"matches":%d,"events":%d,"cpu_seconds":%.4f,"load_seconds":%.3f}`+"\n",
		os.Args[1], len(programs), len(records), matches, events, seconds.Seconds(), loading.Seconds())
}

func load(path string) (programs []cel.Program) {
	env, err := cel.NewEnv(cel.Variable("e", cel.DynType))
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range lines(path) {
		checked, problems := env.Compile(text)
		if problems.Err() != nil {
			log.Fatal(problems.Err())
		}
		p, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			log.Fatal(err)
		}
		programs = append(programs, p)
	}
	return programs
}

func lines(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func decodeMap(record string) any {
	var m map[string]any
	if err := json.Unmarshal([]byte(record), &m); err != nil {
		log.Fatal(err)
	}
	return m
}

// cpu returns the CPU time of all threads of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// object is a JSON object as a map of CEL. Only the look-up of a key is used by the rules; the embedded interface is nil.
type object struct {
	traits.Mapper
	v *fastjson.Value
}

// Find implements traits.Mapper.
func (o object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	v := o.v.Get(string(name))
	if v == nil {
		return nil, false
	}
	switch v.Type() {
	case fastjson.TypeString:
		return types.String(v.GetStringBytes()), true
	case fastjson.TypeObject:
		return object{v: v}, true
	}
	return types.NullValue, true // the rules read texts only
}

// Get implements traits.Indexer.
func (o object) Get(key ref.Val) ref.Val {
	if v, ok := o.Find(key); ok {
		return v
	}
	return types.NewErr("no such key: %v", key)
}

// Contains implements traits.Container.
func (o object) Contains(key ref.Val) ref.Val {
	_, ok := o.Find(key)
	return types.Bool(ok)
}

// Type implements ref.Val.
func (object) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (o object) Value() any { return o.v }
