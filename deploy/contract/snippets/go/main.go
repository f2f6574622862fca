// Send requests and hear how they end.
//
//	pixverse send FILE…       check each request, then put it on the topic
//	pixverse hear ID… [--seen FILE]
//	                          print what is told, each event once, until the ends of
//	                          these requests are there
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/franz-go/pkg/kgo"
)

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func client(options ...kgo.Opt) *kgo.Client {
	brokers := strings.Split(setting("KAFKA_BROKERS", "127.0.0.1:9092"), ",")
	return must(kgo.NewClient(append(options, kgo.SeedBrokers(brokers...))...))
}

// schema reads one of the contract's.
func schema(name string) *jsonschema.Schema {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	path := filepath.Join(setting("CONTRACT", "../.."), name+".schema.json")
	return must(compiler.Compile(path))
}

func hold(rules *jsonschema.Schema, text []byte, what string) {
	value := must(jsonschema.UnmarshalJSON(bytes.NewReader(text)))
	if err := rules.Validate(value); err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

func send(paths []string) {
	rules := schema("request")
	var records []*kgo.Record
	for _, path := range paths {
		text := must(os.ReadFile(path))
		hold(rules, text, path)
		var request struct {
			ID string `json:"request_id"`
		}
		if err := json.Unmarshal(text, &request); err != nil {
			log.Fatal(err)
		}
		records = append(records, &kgo.Record{Key: []byte(request.ID), Value: text})
	}
	producer := client(kgo.DefaultProduceTopic(
		setting("KAFKA_REQUEST_TOPIC", "pixverse.requests"))) // idempotent, acks=all
	defer producer.Close()
	// Where it fails, send the same again: its id buys it once.
	if err := producer.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		log.Fatal(err)
	}
}

type event struct {
	ID     string `json:"request_id"`
	Status string `json:"status"`
}

// tell prints an event that is not in seen yet, and notes it there. Where an event has
// effects, its ce_id belongs into their transaction.
func tell(id string, told event, seen map[string]bool, file *os.File) {
	if seen[id] {
		return
	}
	seen[id] = true
	fmt.Println(id, told.ID, told.Status)
	must(fmt.Fprintln(file, id))
}

func hear(ids []string, seenPath string) {
	rules := map[string]*jsonschema.Schema{}
	for _, word := range []string{"accepted", "completed", "failed"} {
		rules["video.generation."+word] = schema("event." + word)
	}
	file := must(os.OpenFile(seenPath, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644))
	seen := map[string]bool{}
	for _, id := range strings.Fields(string(must(os.ReadFile(seenPath)))) {
		seen[id] = true
	}
	consumer := client(kgo.ConsumerGroup(setting("KAFKA_GROUP", "pixverse-go")),
		kgo.ConsumeTopics(setting("KAFKA_EVENT_TOPIC", "pixverse.events")),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	defer consumer.Close()
	for len(ids) > 0 {
		fetches := consumer.PollFetches(context.Background())
		if err := fetches.Err(); err != nil {
			log.Fatal(err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			headers := map[string]string{}
			for _, header := range record.Headers {
				headers[header.Key] = string(header.Value)
			}
			rule := rules[headers["ce_type"]]
			if rule == nil {
				return // a later version may tell more
			}
			hold(rule, record.Value, headers["ce_id"])
			var told event
			if err := json.Unmarshal(record.Value, &told); err != nil {
				log.Fatal(err)
			}
			tell(headers["ce_id"], told, seen, file)
			if told.Status != "accepted" {
				ids = slices.DeleteFunc(ids, func(id string) bool { return id == told.ID })
			}
		})
		if err := consumer.CommitUncommittedOffsets(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
}

func main() {
	words := os.Args[1:]
	switch {
	case len(words) > 1 && words[0] == "send":
		send(words[1:])
	case len(words) > 1 && words[0] == "hear":
		ids, seenPath := words[1:], "seen"
		if at := slices.Index(ids, "--seen"); at >= 0 && at+1 < len(ids) {
			ids, seenPath = ids[:at], ids[at+1]
		}
		hear(slices.Clone(ids), seenPath)
	default:
		log.Fatal("pixverse send FILE… | hear ID… [--seen FILE]")
	}
}
