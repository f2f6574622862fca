package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Until when nobody submits, or nobody polls: Unix ms.
type gate struct{ until atomic.Int64 }

func (g *gate) pass() {
	for {
		wait := g.until.Load() - time.Now().UnixMilli()
		if wait <= 0 {
			return
		}
		time.Sleep(time.Duration(wait) * time.Millisecond)
	}
}

func (g *gate) shut(reply *http.Response) {
	seconds, err := strconv.ParseFloat(reply.Header.Get("Retry-After"), 64)
	if err != nil || seconds <= 0 {
		seconds = 1
	}
	g.until.Store(time.Now().UnixMilli() + int64(seconds*1000))
}

var submitGate, pollGate gate

type answer struct {
	Error *providerError `json:"error"`
	Data  json.RawMessage
}

type providerError struct {
	Code    json.RawMessage `json:"code"`
	Message string          `json:"message"`
}

// The row says SUBMITTING before anything is sent, and until an id or an end is
// stored. What has no sure answer is sent again under the same key.
func (w *worker) submitLoop() {
	for t := range w.submits {
		for !w.submit(t) {
			if w.draining.Load() {
				break // the row is still SUBMITTING: the next process sends it again
			}
		}
		w.unsent.Add(-1)
		w.store.wake()
	}
}

func (w *worker) submit(t *task) bool {
	submitGate.pass()
	post, err := http.NewRequestWithContext(w.ctx, "POST", w.base.JoinPath("v1/videos/generations").String(),
		bytes.NewReader(t.body))
	check("APIMART_BASE_URL", err)
	post.Header.Set("Authorization", "Bearer "+w.apiKey)
	post.Header.Set("Content-Type", "application/json")
	post.Header.Set("Idempotency-Key", t.key)
	w.metrics.submits.Add(1)
	reply, err := w.api.Do(post)
	if err != nil {
		time.Sleep(time.Second)
		return false
	}
	body, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	reply.Body.Close()
	if err != nil {
		time.Sleep(time.Second)
		return false
	}
	switch status := reply.StatusCode; {
	case status == 200 || status == 201 || status == 202:
		if id := taskID(body); id != "" {
			w.accepted(t, id)
			return true
		}
	case status == 429 || status == 409 || status == 503 || status == 401 || status == 402:
		submitGate.shut(reply)
		return false
	case status >= 400 && status < 500 && status != 408 && status != 425:
		w.end(t, failure("invalid_request", body, status))
		return true
	}
	time.Sleep(time.Second)
	return false
}

func taskID(body []byte) string {
	var a answer
	if json.Unmarshal(body, &a) != nil {
		return ""
	}
	var many []struct {
		ID string `json:"task_id"`
	}
	if json.Unmarshal(a.Data, &many) == nil && len(many) == 1 {
		return many[0].ID
	}
	return ""
}

func failure(kind string, body []byte, status int) *eventError {
	var a answer
	e := &eventError{Kind: kind, Message: "refused", RetrySafe: true, HTTPStatus: status}
	if json.Unmarshal(body, &a) == nil && a.Error != nil {
		e.Message = a.Error.Message
	}
	return e
}

// Polls begin at once: the id's row is only needed by the next process, which would
// otherwise ask for it under the key.
func (w *worker) accepted(t *task, id string) {
	t.providerID, t.submitted, t.body = id, time.Now().UnixMilli(), nil
	w.store.write(order{to: running, task: t, text: id, then: func() {
		w.running.Add(1)
		w.wheel.spread(t)
	}})
}

// --- polls -------------------------------------------------------------------

const tick = 10 * time.Millisecond

// Tasks by the tick in which their poll is due.
type wheel struct {
	interval time.Duration
	lock     sync.Mutex
	slots    [][]*task
	next     int64 // the tick that run() looks at next
	due      chan *task
}

func newWheel(interval time.Duration) *wheel {
	return &wheel{interval: interval, slots: make([][]*task, interval/tick*2+2),
		next: time.Now().UnixNano() / int64(tick), due: make(chan *task, 1<<17)}
}

// The first poll at some moment of the interval: tasks stay spread over it.
func (w *wheel) spread(t *task) {
	w.add(t, time.Now().Add(rand.N(w.interval)))
}

func (w *wheel) again(t *task) {
	due := t.due.Add(w.interval)
	if now := time.Now(); due.Before(now) {
		due = now.Add(rand.N(w.interval)) // one was missed
	}
	w.add(t, due)
}

func (w *wheel) add(t *task, due time.Time) {
	t.due = due
	w.lock.Lock()
	at := max(due.UnixNano()/int64(tick), w.next)
	slot := &w.slots[at%int64(len(w.slots))]
	*slot = append(*slot, t)
	w.lock.Unlock()
}

func (w *wheel) run() {
	for now := range time.Tick(tick) {
		var due []*task
		w.lock.Lock()
		for ; w.next < now.UnixNano()/int64(tick); w.next++ {
			slot := &w.slots[w.next%int64(len(w.slots))]
			due = append(due, *slot...)
			clear(*slot)
			*slot = (*slot)[:0]
		}
		w.lock.Unlock()
		for _, t := range due {
			w.due <- t
		}
	}
}

type status struct {
	Data struct {
		ID      string   `json:"id"`
		Status  string   `json:"status"`
		Cost    *float64 `json:"cost"`
		Credits *float64 `json:"credits_cost"`
		Result  *struct {
			Videos []struct {
				URL []string `json:"url"`
			} `json:"videos"`
		} `json:"result"`
		Error *providerError `json:"error"`
	} `json:"data"`
}

func (w *worker) pollLoop() {
	path := strings.TrimSuffix(w.base.Path, "/") + "/v1/tasks/"
	get := &http.Request{Method: "GET", Host: w.base.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Authorization": {"Bearer " + w.apiKey}, "Accept": {"application/json"}}}
	get.URL = &url.URL{Scheme: w.base.Scheme, Host: w.base.Host}
	buffer := make([]byte, 64<<10)
	for t := range w.wheel.due {
		pollGate.pass()
		w.metrics.observeLate(time.Since(t.due))
		w.metrics.polls.Add(1)
		get.URL.Path = path + t.providerID
		if !w.poll(t, get, buffer) {
			w.wheel.again(t)
		}
	}
}

// Whether the task is finished upstream.
func (w *worker) poll(t *task, get *http.Request, buffer []byte) bool {
	reply, err := w.api.Do(get)
	if err != nil {
		return false
	}
	n, err := io.ReadFull(reply.Body, buffer)
	reply.Body.Close()
	if reply.StatusCode == http.StatusTooManyRequests {
		pollGate.shut(reply)
	}
	var s status
	if err != io.ErrUnexpectedEOF || reply.StatusCode != 200 ||
		json.Unmarshal(buffer[:n], &s) != nil || s.Data.ID != t.providerID {
		return false
	}
	t.cost, t.credits = s.Data.Cost, s.Data.Credits
	switch s.Data.Status {
	case "completed":
		t.urls = nil
		if s.Data.Result != nil {
			for _, video := range s.Data.Result.Videos {
				t.urls = append(t.urls, video.URL...)
			}
		}
		if len(t.urls) == 0 {
			return false
		}
		t.generated = time.Now().UnixMilli()
		w.transfers <- t
		return true
	case "failed", "cancelled":
		e := &eventError{Kind: "provider_failed", Message: s.Data.Status}
		if s.Data.Error != nil {
			e.Message = s.Data.Error.Message
		}
		if s.Data.Cost != nil && *s.Data.Cost == 0 {
			e.RetrySafe = true
		}
		w.running.Add(-1)
		w.end(t, e)
		return true
	}
	return false
}
