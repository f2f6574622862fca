package main

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"
)

type eventVideo struct {
	URI         string `json:"uri"`
	Bytes       int64  `json:"bytes"`
	SHA256      string `json:"sha256"`
	ContentType string `json:"content_type"`
}

type eventError struct {
	Kind       string `json:"kind"`
	Message    string `json:"message"`
	RetrySafe  bool   `json:"retry_safe"`
	HTTPStatus int    `json:"http_status,omitempty"`
}

type eventTimes struct {
	Received  string `json:"received"`
	Submitted string `json:"submitted,omitempty"`
	Generated string `json:"generated,omitempty"`
	Stored    string `json:"stored,omitempty"`
	Settled   string `json:"settled"`
}

type event struct {
	RequestID  string          `json:"request_id"`
	Tenant     string          `json:"tenant"`
	Status     string          `json:"status"`
	Mode       string          `json:"mode"`
	Provider   string          `json:"provider"`
	Model      string          `json:"model"`
	ProviderID string          `json:"provider_task_id,omitempty"`
	Videos     []eventVideo    `json:"videos,omitempty"`
	Error      *eventError     `json:"error,omitempty"`
	Cost       *float64        `json:"cost,omitempty"`
	Credits    *float64        `json:"credits_cost,omitempty"`
	Billed     string          `json:"billed"`
	Times      eventTimes      `json:"times"`
	Warnings   []string        `json:"warnings"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
}

func stamp(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

func (w *worker) render(t *task, status, billed string) event {
	now := stamp(time.Now().UnixMilli())
	return event{RequestID: t.name, Tenant: t.tenant, Status: status, Mode: "text_to_video",
		Provider: "apimart", Model: "pixverse-v6", ProviderID: t.providerID, Cost: t.cost,
		Credits: t.credits, Billed: billed, Warnings: []string{}, Metadata: t.metadata,
		Times: eventTimes{Received: stamp(t.received), Submitted: stamp(t.submitted),
			Generated: stamp(t.generated), Settled: now}}
}

func (w *worker) complete(t *task, videos []eventVideo) {
	e := w.render(t, "completed", "yes")
	e.Videos, e.Times.Stored = videos, e.Times.Settled
	w.settle(t, &e)
}

func (w *worker) end(t *task, failed *eventError) {
	e := w.render(t, "failed", "no")
	if !failed.RetrySafe {
		e.Billed = "unknown"
	}
	e.Error = failed
	w.settle(t, &e)
}

// The row that carries the event, then the event, then the row that says so.
func (w *worker) settle(t *task, e *event) {
	value, err := json.Marshal(e)
	check("an event", err)
	w.store.write(order{to: settled, task: t, text: string(value), then: func() { w.out.send(t, value) }})
}

type announcer struct {
	w     *worker
	kafka *kgo.Client
}

func newAnnouncer(w *worker) *announcer {
	kafka, err := kgo.NewClient(kgo.SeedBrokers(w.brokers), kgo.DefaultProduceTopic(w.events),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
	check("KAFKA_BROKERS", err)
	return &announcer{w: w, kafka: kafka}
}

func (a *announcer) flush() { check("Kafka", a.kafka.Flush(a.w.ctx)) }

func (a *announcer) send(t *task, value []byte) {
	var e struct {
		Status string
		Times  struct{ Settled string }
	}
	check("a stored event", json.Unmarshal(value, &e))
	kind := "video.generation." + e.Status
	header := func(name, value string) kgo.RecordHeader { return kgo.RecordHeader{Key: name, Value: []byte(value)} }
	record := &kgo.Record{Key: []byte(t.name), Value: value, Headers: []kgo.RecordHeader{
		header("ce_specversion", "1.0"), header("ce_type", kind), header("ce_source", "/pixverse-worker"),
		header("ce_id", uuid.NewSHA1(uuid.NameSpaceURL, []byte(kind+"/"+t.name)).String()),
		header("ce_subject", t.name), header("ce_time", e.Times.Settled),
		header("content-type", "application/json")}}
	a.kafka.Produce(a.w.ctx, record, func(_ *kgo.Record, err error) {
		check("Kafka", err)
		a.w.store.write(order{to: told, task: t, then: func() { a.w.inFlight.Add(-1) }})
	})
}
