package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	// probeTimeout bounds each request of Probe.
	probeTimeout = 5 * time.Second
	// maxProbedTopics is the number of topics that Probe reads from and lists; a pattern can match thousands.
	maxProbedTopics = 50
)

// Probe implements connectors.Prober: it tries each broker, each topic with a fetch, and the group, and names the topics
// whose timestamps the producers choose.
func (s *Source) Probe(ctx context.Context) []connectors.Answer {
	defer s.transport.CloseIdleConnections()
	answers, reachable := s.probeBrokers(ctx)
	if !reachable {
		return answers
	}
	found, more := s.probeLayout(ctx)
	answers = append(answers, more...)
	names := found.topics()
	probed := names[:min(len(names), maxProbedTopics)]
	topics := make([][]connectors.Answer, len(probed))
	var all sync.WaitGroup
	for i, topic := range probed {
		all.Go(func() { topics[i] = s.probeTopic(ctx, topic, found[topic]) })
	}
	all.Wait()
	answers = append(answers, slices.Concat(topics...)...)
	if n := len(names) - len(probed); n > 0 {
		answers = append(answers, connectors.Answer{Subject: "topics", Text: fmt.Sprintf("%d more topics match and were not tried", n)})
	}
	if len(names) > 0 {
		answers = append(answers, s.probeTimestamps(ctx, names)...)
	}
	return append(answers, s.probeGroup(ctx, names))
}

// failedAnswer returns the answer for a request that failed.
func failedAnswer(subject string, err error) connectors.Answer {
	return connectors.Answer{Subject: subject, Text: oneLine(err.Error()), Failed: true}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// probeBrokers tries the configured addresses and reports whether one of them answers.
func (s *Source) probeBrokers(ctx context.Context) (answers []connectors.Answer, reachable bool) {
	answers = make([]connectors.Answer, len(s.cfg.Brokers))
	var all sync.WaitGroup
	for i, addr := range s.cfg.Brokers {
		all.Go(func() {
			answers[i] = connectors.Answer{Subject: "broker " + addr, Text: "answers"}
			if err := s.probeBroker(ctx, addr); err != nil {
				answers[i] = failedAnswer("broker "+addr, err)
			}
		})
	}
	all.Wait()
	reachable = slices.ContainsFunc(answers, func(a connectors.Answer) bool { return !a.Failed })
	for i := range answers {
		if a := &answers[i]; a.Failed && reachable { // the others are discovered through one that answers
			a.Failed, a.Warning = false, true
		}
	}
	return answers, reachable
}

func (s *Source) probeBroker(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := s.dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err = conn.ApiVersions(); err != nil {
		return fmt.Errorf("does not answer as a Kafka broker: %w", err)
	}
	return nil
}

// probeLayout looks for the topics. It answers only if topics are missing or unreadable.
func (s *Source) probeLayout(ctx context.Context) (found layout, answers []connectors.Answer) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	found = layout{}
	res, err := s.client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return found, []connectors.Answer{failedAnswer("topics", err)}
	}
	for _, t := range res.Topics {
		switch {
		case !s.choice.selects(t):
		case t.Error != nil:
			answers = append(answers, failedAnswer("topic "+t.Name, t.Error))
		default:
			found[t.Name] = len(t.Partitions)
		}
	}
	for _, topic := range s.choice.missing(found) {
		if !slices.ContainsFunc(answers, func(a connectors.Answer) bool { return a.Subject == "topic "+topic }) {
			answers = append(answers, connectors.Answer{Subject: "topic " + topic, Failed: true,
				Text: "does not exist, or this client may not see it: create it, or grant Read on it"})
		}
	}
	if s.cfg.Pattern != "" && len(found) == 0 && len(answers) == 0 {
		answers = append(answers, connectors.Answer{Subject: "topics", Failed: true,
			Text: fmt.Sprintf("none matches %q, or this client may not see them", s.cfg.Pattern)})
	}
	return found, answers
}

// probeTopic requests the ends of all partitions of a topic, and fetches the newest record of its last partition with records. A
// record from the future shows that the clock of the broker, or that of the producer, is wrong, or that of this machine.
func (s *Source) probeTopic(ctx context.Context, topic string, partitions int) []connectors.Answer {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	subject := "topic " + topic
	var requests []kafka.OffsetRequest
	for n := range partitions {
		requests = append(requests, kafka.FirstOffsetOf(n), kafka.LastOffsetOf(n))
	}
	res, err := s.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: requests}})
	if err != nil {
		return []connectors.Answer{failedAnswer(subject, err)}
	}
	var records int64
	fetch := kafka.PartitionOffsets{}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return []connectors.Answer{failedAnswer(subject, fmt.Errorf("partition %d: %w", p.Partition, p.Error))}
		}
		if n := p.LastOffset - p.FirstOffset; n > 0 {
			records += n
			fetch = p
		}
	}
	got, err := s.client.Fetch(ctx, &kafka.FetchRequest{
		Topic: topic, Partition: fetch.Partition, Offset: max(fetch.FirstOffset, fetch.LastOffset-1), MinBytes: 1, MaxBytes: 1, MaxWait: 10 * time.Millisecond,
	})
	if err == nil {
		err = got.Error
	}
	if err != nil && !errors.Is(err, kafka.OffsetOutOfRange) { // which retention may cause between the two requests
		return []connectors.Answer{failedAnswer(subject, fmt.Errorf("fetch: %w", err))}
	}
	out := []connectors.Answer{{Subject: subject, Text: fmt.Sprintf("readable, %d partitions with %d records", partitions, records)}}
	if err == nil && records > 0 {
		answered := time.Now()
		if c := connectors.ClockAnswer(newestTime(got.Records), time.Time{}, answered, 0); c.Warning {
			c.Subject, c.Text = subject, "the time of its newest record "+c.Text+", or mend the clock of its producers"
			out = append(out, c)
		}
	}
	return out
}

// newestTime returns the latest timestamp of records, the zero time if there is none.
func newestTime(records kafka.RecordReader) (newest time.Time) {
	for {
		r, err := records.ReadRecord()
		if err != nil {
			return newest
		}
		if r.Time.After(newest) {
			newest = r.Time
		}
	}
}

// timestampType is the setting of a topic that decides whether its producers or the brokers set the timestamps.
const timestampType = "message.timestamp.type"

// probeTimestamps names the topics whose timestamps the producers choose.
func (s *Source) probeTimestamps(ctx context.Context, topics []string) (answers []connectors.Answer) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req := &kafka.DescribeConfigsRequest{}
	for _, topic := range topics {
		req.Resources = append(req.Resources, kafka.DescribeConfigRequestResource{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{timestampType},
		})
	}
	warn := func(format string, args ...any) {
		answers = append(answers, connectors.Answer{Subject: "timestamps", Text: oneLine(fmt.Sprintf(format, args...)), Warning: true})
	}
	res, err := s.client.DescribeConfigs(ctx, req)
	if err != nil {
		warn("%s of the topics is unknown: %v", timestampType, err)
		return answers
	}
	var chosen, unknown []string
	var reason error
	for _, r := range res.Resources {
		if r.Error != nil {
			unknown, reason = append(unknown, r.ResourceName), r.Error
		}
		for _, c := range r.ConfigEntries {
			if c.ConfigName == timestampType && c.ConfigValue == "CreateTime" {
				chosen = append(chosen, r.ResourceName)
			}
		}
	}
	slices.Sort(chosen)
	if len(chosen) > 0 {
		warn("the producers choose the timestamps of the records in %s (%s=CreateTime): a wrong clock or a forged time there "+
			"shifts what counts as late: set LogAppendTime", strings.Join(chosen, ", "), timestampType)
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		warn("%s of %s is unknown: %v: grant DescribeConfigs to have it checked", timestampType, strings.Join(unknown, ", "), reason)
	}
	return answers
}

// probeGroup checks that this client may join the group, without joining it: the heartbeat of a member that does not exist
// needs the same right. It reports members that read other topics, because a group gives all partitions to one member.
func (s *Source) probeGroup(ctx context.Context, topics []string) connectors.Answer {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	subject := "group " + s.cfg.Group
	beat, err := s.client.Heartbeat(ctx, &kafka.HeartbeatRequest{GroupID: s.cfg.Group, GenerationID: -1, MemberID: "aidr-probe"})
	if err != nil {
		return failedAnswer(subject, err)
	}
	if errors.Is(beat.Error, kafka.GroupAuthorizationFailed) {
		return failedAnswer(subject, fmt.Errorf("%w: grant Read on the group", beat.Error))
	}
	res, err := s.client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{s.cfg.Group}})
	if err == nil && len(res.Groups) == 1 {
		err = res.Groups[0].Error
	}
	if errors.Is(err, kafka.GroupAuthorizationFailed) { // Read on a group includes Describe
		return failedAnswer(subject, fmt.Errorf("%w: grant Read on the group", err))
	}
	if err != nil || len(res.Groups) != 1 {
		return connectors.Answer{Subject: subject, Text: fmt.Sprintf("usable, its members are unknown: %v", oneLine(fmt.Sprint(err))), Warning: true}
	}
	members := res.Groups[0].Members
	for _, m := range members {
		others := slices.Sorted(slices.Values(m.MemberMetadata.Topics))
		if len(others) > 0 && !slices.Equal(others, topics) {
			return connectors.Answer{Subject: subject, Warning: true, Text: fmt.Sprintf(
				"the member %s at %s reads other topics (%s), and a group gives all partitions to one member: name another group",
				m.ClientID, strings.TrimPrefix(m.ClientHost, "/"), strings.Join(others, ", "))}
		}
	}
	if len(members) > 0 {
		return connectors.Answer{Subject: subject, Text: fmt.Sprintf("usable, %d members: the next is a standby", len(members))}
	}
	return connectors.Answer{Subject: subject, Text: "usable, no members"}
}
