package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	lanes    = 2    // connections that insert; a partition has one of them
	rowsMost = 1000 // in one statement
)

// As much of a request as is needed to pass it on.
type request struct {
	ID       string          `json:"request_id"`
	Tenant   string          `json:"tenant"`
	Request  json.RawMessage `json:"request"`
	Metadata json.RawMessage `json:"metadata"`
}

var model = []byte(`"model":"pixverse-v6"`)

func readRequest(value []byte) (r request, body string, ok bool) {
	if json.Unmarshal(value, &r) != nil || r.ID == "" || len(r.Request) < 2 || r.Request[0] != '{' {
		return r, "", false
	}
	if r.Tenant == "" {
		r.Tenant = "default"
	}
	var known struct {
		Model *string `json:"model"`
	}
	if json.Unmarshal(r.Request, &known) != nil {
		return r, "", false
	}
	if known.Model != nil {
		return r, string(r.Request), true
	}
	rest := bytes.TrimSpace(r.Request[1:])
	comma := ","
	if rest[0] == '}' {
		comma = ""
	}
	return r, "{" + string(model) + comma + string(rest), true
}

type lane struct {
	w       *worker
	kafka   *kgo.Client
	conn    *pgx.Conn
	records chan []*kgo.Record
}

// Rows first, then their offsets: each lane stores its partitions' records in order
// and marks them; the client commits what is marked, once a second and when it leaves.
func startIntake(w *worker, ctx context.Context) *sync.WaitGroup {
	kafka, err := kgo.NewClient(kgo.SeedBrokers(w.brokers), kgo.ConsumerGroup(w.group),
		kgo.ConsumeTopics(w.requests), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitMarks(), kgo.AutoCommitInterval(time.Second), kgo.SessionTimeout(6*time.Second),
		kgo.FetchMaxBytes(16<<20), kgo.FetchMaxPartitionBytes(4<<20), kgo.FetchMaxWait(time.Second),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	check("KAFKA_BROKERS", err)
	done, over := &sync.WaitGroup{}, &sync.WaitGroup{}
	all := make([]*lane, lanes)
	for i := range all {
		all[i] = &lane{w: w, kafka: kafka, conn: connect(w), records: make(chan []*kgo.Record, 2)}
		done.Go(all[i].run)
	}
	over.Go(func() {
		for ctx.Err() == nil {
			if w.waiting.Load() >= w.backlogMax {
				time.Sleep(50 * time.Millisecond)
				continue
			}
			fetches := kafka.PollRecords(ctx, lanes*rowsMost)
			fetches.EachError(func(topic string, partition int32, err error) {
				if ctx.Err() == nil {
					log.Printf("Kafka: %s[%d]: %v", topic, partition, err)
				}
			})
			var split [lanes][]*kgo.Record
			fetches.EachPartition(func(p kgo.FetchTopicPartition) {
				i := max(0, p.Partition) % lanes // -1: the poll was cut short
				split[i] = append(split[i], p.Records...)
			})
			for i, records := range split {
				if len(records) > 0 {
					all[i].records <- records
				}
			}
		}
		for _, l := range all {
			close(l.records)
		}
		done.Wait()
		if err := kafka.CommitMarkedOffsets(context.Background()); err != nil {
			log.Printf("Kafka: %v", err)
		}
		kafka.Close()
	})
	return over
}

func (l *lane) run() {
	for records := range l.records {
		for len(records) > 0 {
			n := min(len(records), rowsMost)
			l.insert(records[:n])
			l.kafka.MarkCommitRecords(records[:n]...)
			records = records[n:]
		}
	}
}

func (l *lane) insert(records []*kgo.Record) {
	n := len(records)
	names, tenants, bodies := make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	metadata, keys, times := make([]*string, 0, n), make([]string, 0, n), make([]int64, 0, n)
	now := time.Now().UnixMilli()
	for _, record := range records {
		r, body, ok := readRequest(record.Value)
		if !ok {
			log.Printf("%s[%d]@%d is no request", record.Topic, record.Partition, record.Offset)
			continue
		}
		var more *string
		if r.Metadata != nil {
			text := string(r.Metadata)
			more = &text
		}
		names, tenants, bodies = append(names, r.ID), append(tenants, r.Tenant), append(bodies, body)
		metadata, keys, times = append(metadata, more), append(keys, uuid.NewString()), append(times, now)
	}
	if len(names) == 0 {
		return
	}
	tag, err := l.conn.Exec(l.w.ctx, insertSQL, names, tenants, bodies, metadata, keys, times)
	check("PostgreSQL", err)
	l.w.waiting.Add(tag.RowsAffected())
	l.w.store.wake()
}
