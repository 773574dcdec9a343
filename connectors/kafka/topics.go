package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go"
)

// layout is how many partitions each topic has that exists and is to be read.
type layout map[string]int

func (l layout) topics() []string { return slices.Sorted(maps.Keys(l)) }

func (l layout) equal(other layout) bool { return maps.Equal(l, other) }

// choice says which topics are read.
type choice struct {
	names   map[string]bool // nil: pattern counts
	pattern *regexp.Regexp
}

func newChoice(c Config) (choice, error) {
	if c.Pattern == "" {
		names := map[string]bool{}
		for _, t := range c.Topics {
			names[t] = true
		}
		return choice{names: names}, nil
	}
	pattern, err := regexp.Compile("^(?:" + c.Pattern + ")$")
	return choice{pattern: pattern}, err
}

// takes says whether a topic is to be read. A pattern never takes Kafka's own topics.
func (c choice) takes(topic kafka.Topic) bool {
	if c.pattern == nil {
		return c.names[topic.Name]
	}
	return !topic.Internal && !strings.HasPrefix(topic.Name, "__") && c.pattern.MatchString(topic.Name)
}

// missing returns the topics that are named and not in l, in order.
func (c choice) missing(l layout) []string {
	var missing []string
	for name := range c.names {
		if _, ok := l[name]; !ok {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// topicsProblem is how health names topics that are waited for.
const topicsProblem = "topics"

// look asks the cluster which of the chosen topics there are.
func (s *Source) look(ctx context.Context) (layout, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := s.client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return nil, fmt.Errorf("ask for topics: %w", err)
	}
	found := layout{}
	for _, t := range res.Topics {
		if !s.choice.takes(t) {
			continue
		}
		if t.Error != nil && !errors.Is(t.Error, kafka.LeaderNotAvailable) {
			return nil, fmt.Errorf("ask for topic %q: %w", t.Name, t.Error)
		}
		if len(t.Partitions) > 0 {
			found[t.Name] = len(t.Partitions)
		}
	}
	s.tellMissing(found)
	return found, nil
}

// tellMissing makes topics that are waited for visible.
func (s *Source) tellMissing(found layout) {
	why := ""
	if missing := s.choice.missing(found); len(missing) > 0 {
		why = fmt.Sprintf("no topic %s at the brokers: waiting for it to be created", strings.Join(missing, ", "))
	} else if len(found) == 0 {
		why = fmt.Sprintf("no topic matches %q: waiting for one to be created", s.cfg.Pattern)
	}
	if s.health.set(topicsProblem, why) && why != "" {
		s.cfg.Log.Warn("topics are missing", "source", s.cfg.Name, "reason", why)
	}
}

// awaitTopics returns the layout once at least one topic exists; nil once ctx ended.
func (s *Source) awaitTopics(ctx context.Context) layout {
	for ctx.Err() == nil {
		found, err := s.look(ctx)
		if err != nil {
			s.failed(brokersProblem, err)
			sleep(ctx, minPause*5)
			continue
		}
		s.health.set(brokersProblem, "")
		if len(found) > 0 {
			return found
		}
		sleep(ctx, s.cfg.Refresh)
	}
	return nil
}

// watch returns once the layout is another one than known, or ctx ended.
func (s *Source) watch(ctx context.Context, known layout) {
	for {
		sleep(ctx, s.cfg.Refresh)
		if ctx.Err() != nil {
			return
		}
		found, err := s.look(ctx)
		if err != nil {
			continue // the heartbeat decides what an absent broker means
		}
		if !found.equal(known) {
			s.cfg.Log.Info("topics or partitions changed", "source", s.cfg.Name, "from", known, "to", found)
			return
		}
	}
}
