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

// layout holds the number of partitions of each existing topic that is to be read.
type layout map[string]int

func (l layout) topics() []string { return slices.Sorted(maps.Keys(l)) }

func (l layout) equal(other layout) bool { return maps.Equal(l, other) }

// choice selects the topics that are read.
type choice struct {
	names   map[string]bool // nil if pattern selects
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

// selects reports whether a topic is to be read. A pattern never selects Kafka's own topics.
func (c choice) selects(topic kafka.Topic) bool {
	if c.pattern == nil {
		return c.names[topic.Name]
	}
	return !topic.Internal && !strings.HasPrefix(topic.Name, "__") && c.pattern.MatchString(topic.Name)
}

// missing returns the named topics that are not in l, sorted.
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

// topicsProblem is the subject in health for topics that do not exist yet.
const topicsProblem = "topics"

// findTopics returns the chosen topics that exist in the cluster.
func (s *Source) findTopics(ctx context.Context) (layout, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := s.client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return nil, fmt.Errorf("request topics: %w", err)
	}
	found := layout{}
	for _, t := range res.Topics {
		if !s.choice.selects(t) {
			continue
		}
		if t.Error != nil && !errors.Is(t.Error, kafka.LeaderNotAvailable) {
			return nil, fmt.Errorf("request topic %q: %w", t.Name, t.Error)
		}
		if len(t.Partitions) > 0 {
			found[t.Name] = len(t.Partitions)
		}
	}
	s.reportMissing(found)
	return found, nil
}

// reportMissing reports topics that do not exist yet in health and in the log.
func (s *Source) reportMissing(found layout) {
	reason := ""
	if missing := s.choice.missing(found); len(missing) > 0 {
		reason = fmt.Sprintf("no topic %s at the brokers: waiting for it to be created", strings.Join(missing, ", "))
	} else if len(found) == 0 {
		reason = fmt.Sprintf("no topic matches %q: waiting for one to be created", s.cfg.Pattern)
	}
	if s.health.set(topicsProblem, reason) && reason != "" {
		s.cfg.Log.Warn("topics are missing", "source", s.cfg.Name, "reason", reason)
	}
}

// awaitTopics waits until at least one topic exists and returns the layout. It returns nil once ctx has ended.
func (s *Source) awaitTopics(ctx context.Context) layout {
	for ctx.Err() == nil {
		found, err := s.findTopics(ctx)
		if err != nil {
			s.failed(brokersProblem, err)
			sleep(ctx, retryPause)
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

// watch returns once the layout differs from known, or once ctx has ended. It calls check, if not nil, after each look at
// the topics.
func (s *Source) watch(ctx context.Context, known layout, check func(context.Context, layout)) {
	for {
		sleep(ctx, s.cfg.Refresh)
		if ctx.Err() != nil {
			return
		}
		found, err := s.findTopics(ctx)
		if err != nil {
			continue // the heartbeat detects that the broker is unreachable
		}
		if !found.equal(known) {
			s.cfg.Log.Info("topics or partitions changed", "source", s.cfg.Name, "from", known, "to", found)
			return
		}
		if check != nil {
			check(ctx, known)
		}
	}
}
