// A worker of the same job in Go: Kafka in, PostgreSQL, the provider, a directory or
// S3, Kafka out. It is there to be measured beside pixverse-worker (../README.md).
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type settings struct {
	brokers, group, requests, events string
	database, provider, apiKey       string
	storage, keyTemplate, admin      string
	pollInterval, commitEvery        time.Duration
	tasksMax, submitsMax             int64
	transfersMax, backlogMax, polls  int64
}

func text(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func number(name string, otherwise int64) int64 {
	value, err := strconv.ParseInt(text(name, strconv.FormatInt(otherwise, 10)), 10, 64)
	check(name, err)
	return value
}

func readSettings() settings {
	ms := time.Millisecond
	return settings{
		brokers:      text("KAFKA_BROKERS", "127.0.0.1:9092"),
		group:        text("KAFKA_GROUP", "pixverse-worker"),
		requests:     text("KAFKA_REQUEST_TOPIC", "pixverse.requests"),
		events:       text("KAFKA_EVENT_TOPIC", "pixverse.events"),
		database:     text("DATABASE_URL", "postgresql:///pixverse"),
		provider:     text("APIMART_BASE_URL", "https://api.apimart.ai"),
		apiKey:       text("APIMART_API_KEY", ""),
		storage:      text("STORAGE_URL", "file:///var/lib/pixverse/videos"),
		keyTemplate:  text("KEY_TEMPLATE", "{tenant}/{yyyy}/{mm}/{dd}/{request_id}/{index}.mp4"),
		admin:        text("ADMIN_LISTEN", "127.0.0.1:9464"),
		pollInterval: time.Duration(number("POLL_INTERVAL_MS", 5000)) * ms,
		commitEvery:  time.Duration(number("PEER_COMMIT_EVERY_MS", 0)) * ms,
		tasksMax:     number("TASKS_MAX", 10000),
		submitsMax:   number("SUBMITS_MAX", 32), // 0: nothing is submitted
		transfersMax: number("TRANSFERS_MAX", 8),
		backlogMax:   number("BACKLOG_MAX", 100000),
		polls:        number("PEER_POLL_CONNECTIONS", 32),
	}
}

// What a row's state says; a row is written before the next effect begins.
const (
	queued     = 0
	submitting = 1 // the intent: from here on it may have been bought
	running    = 2
	settled    = 3 // with its event
	told       = 4
	stop       = -1 // no state: the last order
)

// A task that this process works on. One goroutine at a time has it.
type task struct {
	id                             int64
	name, tenant, key, providerID  string
	body, metadata                 []byte // the body until it has been sent
	due                            time.Time
	received, submitted, generated int64 // Unix ms
	cost, credits                  *float64
	urls                           []string
}

type worker struct {
	settings
	ctx       context.Context
	base      *url.URL
	api, pull *http.Client
	store     *store
	wheel     *wheel
	sink      sink
	out       *announcer
	metrics   metrics
	submits   chan *task
	transfers chan *task
	waiting   atomic.Int64 // rows that nobody has claimed
	inFlight  atomic.Int64 // claimed, not told
	unsent    atomic.Int64 // claimed, no answer yet
	running   atomic.Int64
	draining  atomic.Bool
}

// A fault that a restart mends better than we could: everything is in the database.
func check(what string, err error) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

func client(connections int64, readBuffer int) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			MaxIdleConns:        int(connections),
			MaxIdleConnsPerHost: int(connections),
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
			ForceAttemptHTTP2:   true,
			ReadBufferSize:      readBuffer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func main() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	w := &worker{settings: readSettings(), ctx: context.Background(),
		submits: make(chan *task, 1024), transfers: make(chan *task, 1<<17)}
	base, err := url.Parse(w.provider)
	check("APIMART_BASE_URL", err)
	w.base = base
	w.api = client(w.submitsMax+w.polls, 4<<10)
	w.pull = client(w.transfersMax, 256<<10)
	w.sink, err = newSink(w.settings, client(w.transfersMax, 4<<10))
	check("STORAGE_URL", err)
	go w.serve()
	w.store = openStore(w) // waits until no other process of ours works on this database
	w.out = newAnnouncer(w)
	w.wheel = newWheel(w.pollInterval)
	w.recover()
	go w.store.run()
	go w.wheel.run()
	spawn(w.submitsMax, w.submitLoop)
	spawn(w.polls, w.pollLoop)
	spawn(w.transfersMax, w.transferLoop)
	intake := startIntake(w, ctx)
	w.metrics.ready.Store(true)
	<-ctx.Done()
	w.drain(intake)
}

func spawn(n int64, loop func()) {
	for range n {
		go loop()
	}
}

// Nothing new; what was sent is answered and written; the rest is in the database.
func (w *worker) drain(intake *sync.WaitGroup) {
	w.draining.Store(true)
	w.metrics.ready.Store(false)
	intake.Wait()
	end := time.Now().Add(10 * time.Second)
	for w.unsent.Load() > 0 && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
	}
	w.out.flush()
	w.store.close()
}

func (w *worker) serve() {
	http.HandleFunc("/readyz", func(out http.ResponseWriter, _ *http.Request) {
		if !w.metrics.ready.Load() {
			out.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/metrics", func(out http.ResponseWriter, _ *http.Request) {
		w.metrics.write(out, w)
	})
	check("ADMIN_LISTEN", http.ListenAndServe(w.admin, nil))
}

// The buckets of pixverse-worker's histograms.
var bucketEnds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
	2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}

type metrics struct {
	ready   atomic.Bool
	polls   atomic.Int64
	submits atomic.Int64
	late    [21]atomic.Int64
}

func (m *metrics) observeLate(late time.Duration) {
	i, seconds := 0, late.Seconds()
	for i < len(bucketEnds) && seconds > bucketEnds[i] {
		i++
	}
	m.late[i].Add(1)
}

// In the names of pixverse-worker, so that one bench reads them all.
func (m *metrics) write(out io.Writer, w *worker) {
	fmt.Fprintf(out, "pixverse_polls_total %d\n", m.polls.Load())
	fmt.Fprintf(out, "pixverse_submits_total %d\n", m.submits.Load())
	fmt.Fprintf(out, "pixverse_tasks{state=\"running\"} %d\n", w.running.Load())
	total := int64(0)
	for i := range m.late {
		total += m.late[i].Load()
		end := "+Inf"
		if i < len(bucketEnds) {
			end = fmt.Sprint(bucketEnds[i])
		}
		fmt.Fprintf(out, "pixverse_poll_lateness_seconds_bucket{le=\"%s\"} %d\n", end, total)
	}
}
