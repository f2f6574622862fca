package main

import (
	"context"
	"log"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const schema = `
CREATE TABLE IF NOT EXISTS peer_task (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id text NOT NULL UNIQUE,
    tenant text NOT NULL,
    body text NOT NULL,
    metadata text,
    key text NOT NULL,
    received_ms bigint NOT NULL,
    waiting boolean NOT NULL DEFAULT true,
    state smallint NOT NULL DEFAULT 0,
    provider_id text,
    submitted_ms bigint,
    event text
) WITH (fillfactor = 70);
-- Of its columns only "waiting" ever changes, and once: all other updates are HOT.
CREATE INDEX IF NOT EXISTS peer_waiting ON peer_task (id) WHERE waiting;`

const (
	claimSQL = `WITH c AS MATERIALIZED (SELECT id FROM peer_task WHERE waiting ORDER BY id LIMIT $1)
UPDATE peer_task t SET waiting = false, state = 1 FROM c WHERE t.id = c.id
RETURNING t.id, t.request_id, t.tenant, t.body, t.metadata, t.key, t.received_ms`
	acceptSQL = `UPDATE peer_task t SET state = 2, provider_id = u.p, submitted_ms = u.s
FROM unnest($1::bigint[], $2::text[], $3::bigint[]) u(id, p, s) WHERE t.id = u.id AND t.state = 1`
	settleSQL = `UPDATE peer_task t SET state = 3, event = u.e
FROM unnest($1::bigint[], $2::text[]) u(id, e) WHERE t.id = u.id AND t.state IN (1, 2)`
	toldSQL   = `UPDATE peer_task SET state = 4, event = NULL WHERE id = ANY($1) AND state = 3`
	insertSQL = `INSERT INTO peer_task (request_id, tenant, body, metadata, key, received_ms)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
ON CONFLICT DO NOTHING`
	recoverSQL = `SELECT id, request_id, tenant, body, metadata, key, received_ms, state,
coalesce(provider_id, ''), coalesce(submitted_ms, 0), coalesce(event, '')
FROM peer_task WHERE state IN (1, 2, 3) AND NOT waiting`
)

// What is to be written of a task. Whatever must follow the commit follows it.
type order struct {
	to   int // the state
	task *task
	text string // running: the provider's id; settled: the event
	then func()
}

// All writes but those of the intake go through one connection: what has come
// together while one transaction was under way is the next, in one pipeline.
type store struct {
	w      *worker
	conn   *pgx.Conn
	guard  *pgx.Conn
	orders chan order
	kick   chan struct{}
	done   chan struct{}
}

func connect(w *worker) *pgx.Conn {
	config, err := pgx.ParseConfig(w.database)
	check("DATABASE_URL", err)
	// Batches are joined by index, whatever the statistics of the moment say.
	for _, name := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin"} {
		config.RuntimeParams[name] = "off"
	}
	config.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	for {
		conn, err := pgx.ConnectConfig(w.ctx, config)
		if err == nil {
			return conn
		}
		time.Sleep(time.Second)
	}
}

func openStore(w *worker) *store {
	s := &store{w: w, conn: connect(w), guard: connect(w), orders: make(chan order, 1024),
		kick: make(chan struct{}, 1), done: make(chan struct{})}
	// One process works on a database; the next one waits here for its death.
	exec(w, s.guard, "SELECT pg_advisory_lock(727274)")
	exec(w, s.conn, schema)
	go s.watch()
	return s
}

func exec(w *worker, conn *pgx.Conn, sql string) {
	_, err := conn.Exec(w.ctx, sql)
	check("PostgreSQL", err)
}

// Who lost the lock must not go on.
func (s *store) watch() {
	for {
		time.Sleep(5 * time.Second)
		exec(s.w, s.guard, "SELECT 1")
	}
}

func (s *store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *store) write(o order) { s.orders <- o }

func (s *store) close() {
	s.orders <- order{to: stop}
	<-s.done
}

// How many rows to claim now.
func (s *store) room() int64 {
	w := s.w
	if w.draining.Load() || w.waiting.Load() == 0 {
		return 0
	}
	return max(0, min(w.tasksMax-w.inFlight.Load(), 2*w.submitsMax-w.unsent.Load()))
}

func (s *store) run() {
	defer close(s.done)
	last := time.Now()
	for open := true; open; {
		var orders []order
		select {
		case o := <-s.orders:
			orders = append(orders, o)
		case <-s.kick:
		}
		time.Sleep(s.w.commitEvery - time.Since(last))
		for more := true; more && len(orders) < 1000; {
			select {
			case o := <-s.orders:
				orders = append(orders, o)
			default:
				more = false
			}
		}
		last = time.Now()
		open = !slices.ContainsFunc(orders, func(o order) bool { return o.to == stop })
		s.flush(orders, s.room())
	}
}

func (s *store) flush(orders []order, room int64) {
	var ids [told + 1][]int64
	var texts [told + 1][]string
	var times []int64
	for _, o := range orders {
		if o.to == stop {
			continue
		}
		ids[o.to] = append(ids[o.to], o.task.id)
		texts[o.to] = append(texts[o.to], o.text)
		if o.to == running {
			times = append(times, o.task.submitted)
		}
	}
	batch := &pgx.Batch{}
	queue := func(to int, sql string, values ...any) {
		if n := int64(len(ids[to])); n > 0 {
			batch.Queue(sql, values...).Exec(func(tag pgconn.CommandTag) error {
				if tag.RowsAffected() != n {
					log.Fatalf("rows that were ours are not: %d of %d", tag.RowsAffected(), n)
				}
				return nil
			})
		}
	}
	queue(running, acceptSQL, ids[running], texts[running], times)
	queue(settled, settleSQL, ids[settled], texts[settled])
	queue(told, toldSQL, ids[told])
	var claimed []*task
	if room > 0 {
		batch.Queue(claimSQL, room).Query(func(rows pgx.Rows) (err error) {
			claimed, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*task, error) {
				t := &task{}
				return t, row.Scan(&t.id, &t.name, &t.tenant, &t.body, &t.metadata, &t.key, &t.received)
			})
			return err
		})
	}
	if batch.Len() == 0 {
		return
	}
	// A batch is one transaction.
	check("PostgreSQL", s.conn.SendBatch(s.w.ctx, batch).Close())
	s.claimed(claimed, room)
	for _, o := range orders {
		if o.then != nil {
			o.then()
		}
	}
}

func (s *store) claimed(tasks []*task, room int64) {
	w := s.w
	n := int64(len(tasks))
	w.waiting.Add(-n)
	w.inFlight.Add(n)
	w.unsent.Add(n)
	for _, t := range tasks {
		w.submits <- t
	}
}

// What an earlier process left goes on where it was.
func (w *worker) recover() {
	conn := connect(w)
	defer conn.Close(context.Background())
	var n int64
	check("PostgreSQL", conn.QueryRow(w.ctx, "SELECT count(*) FROM peer_task WHERE waiting").Scan(&n))
	w.waiting.Store(n)
	rows, err := conn.Query(w.ctx, recoverSQL)
	check("PostgreSQL", err)
	defer rows.Close()
	var again []*task
	for rows.Next() {
		t, state, event := &task{}, 0, ""
		check("PostgreSQL", rows.Scan(&t.id, &t.name, &t.tenant, &t.body, &t.metadata, &t.key,
			&t.received, &state, &t.providerID, &t.submitted, &event))
		w.inFlight.Add(1)
		switch state {
		case submitting: // perhaps bought: the same key and bytes once more
			w.unsent.Add(1)
			again = append(again, t)
		case running:
			w.running.Add(1)
			t.body = nil
			w.wheel.spread(t)
		case settled:
			w.out.send(t, []byte(event))
		}
	}
	check("PostgreSQL", rows.Err())
	go func() {
		for _, t := range again {
			w.submits <- t
		}
	}()
	w.store.wake()
}
