//! All writes but those of the intake go through one connection: what has come together
//! while one transaction was under way is the next, in one pipeline.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::join;
use tokio::task::spawn_local;
use tokio::time::sleep;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Row, Statement};

use crate::{App, Task, add, die};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS peer_task (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id text NOT NULL UNIQUE,
    tenant text NOT NULL,
    body text NOT NULL,
    metadata text,
    key text NOT NULL,
    received_ms bigint NOT NULL,
    waiting boolean NOT NULL DEFAULT true,
    -- 0 queued; 1 submitting: the intent, from here on it may have been bought;
    -- 2 running; 3 settled, with its event; 4 told.
    state smallint NOT NULL DEFAULT 0,
    provider_id text,
    submitted_ms bigint,
    event text
) WITH (fillfactor = 70);
-- Of its columns only \"waiting\" ever changes, and once: all other updates are HOT.
CREATE INDEX IF NOT EXISTS peer_waiting ON peer_task (id) WHERE waiting;";

const CLAIM: &str = "WITH c AS MATERIALIZED
    (SELECT id FROM peer_task WHERE waiting ORDER BY id LIMIT $1)
UPDATE peer_task t SET waiting = false, state = 1 FROM c WHERE t.id = c.id
RETURNING t.id, t.request_id, t.tenant, t.body, t.metadata, t.key, t.received_ms";
const ACCEPT: &str = "UPDATE peer_task t SET state = 2, provider_id = u.p, submitted_ms = u.s
FROM unnest($1::bigint[], $2::text[], $3::bigint[]) u(id, p, s)
WHERE t.id = u.id AND t.state = 1";
const SETTLE: &str = "UPDATE peer_task t SET state = 3, event = u.e
FROM unnest($1::bigint[], $2::text[]) u(id, e) WHERE t.id = u.id AND t.state IN (1, 2)";
const TELL: &str =
    "UPDATE peer_task SET state = 4, event = NULL WHERE id = ANY($1) AND state = 3";
const RECOVER: &str = "SELECT id, request_id, tenant, body, metadata, key, received_ms, state,
    coalesce(provider_id, ''), coalesce(submitted_ms, 0), coalesce(event, '')
FROM peer_task WHERE state IN (1, 2, 3) AND NOT waiting";

/// What is to be written of a task. Whatever must follow the commit follows it.
pub enum Order {
    Running(Box<Task>),
    Settled(Box<Task>, Rc<str>),
    Told(i64),
    Claim, // look whether there is room
    Stop,
}

pub struct Store {
    app: Rc<App>,
    client: Client,
    claim: Statement,
    accept: Statement,
    settle: Statement,
    tell: Statement,
    last: Instant,
}

/// A connection; batches are joined by index, whatever statistics of the moment say.
pub async fn connect(app: &App) -> Client {
    let config = app.set.database.parse::<tokio_postgres::Config>();
    let mut config = config.unwrap_or_else(|e| die("DATABASE_URL", e));
    config.options(
        "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off \
         -c plan_cache_mode=force_generic_plan",
    );
    loop {
        match config.connect(NoTls).await {
            Ok((client, connection)) => {
                spawn_local(async move {
                    if let Err(error) = connection.await {
                        die("PostgreSQL", error);
                    }
                });
                return client;
            }
            Err(_) => sleep(Duration::from_secs(1)).await,
        }
    }
}

pub fn must<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|e| match e.as_db_error() {
        Some(said) => die("PostgreSQL", said),
        None => die("PostgreSQL", e),
    })
}

fn task(row: &Row) -> Box<Task> {
    Box::new(Task {
        id: row.get(0),
        name: row.get(1),
        tenant: row.get(2),
        body: row.get::<_, String>(3).into(),
        metadata: row.get(4),
        key: row.get(5),
        received: row.get(6),
        provider_id: "".into(),
        due: Instant::now(),
        submitted: 0,
        end: None,
    })
}

impl Store {
    pub async fn open(app: Rc<App>) -> Store {
        // One process works on a database; the next one waits here for its death.
        let guard = connect(&app).await;
        must(guard.batch_execute("SELECT pg_advisory_lock(727274)").await);
        spawn_local(async move {
            loop {
                sleep(Duration::from_secs(5)).await;
                must(guard.batch_execute("SELECT 1").await);
            }
        });
        let client = connect(&app).await;
        must(client.batch_execute(SCHEMA).await);
        Store {
            claim: must(client.prepare(CLAIM).await),
            accept: must(client.prepare(ACCEPT).await),
            settle: must(client.prepare(SETTLE).await),
            tell: must(client.prepare(TELL).await),
            last: Instant::now(),
            app,
            client,
        }
    }

    /// What an earlier process left goes on where it was.
    pub async fn recover(&self) {
        let app = &self.app;
        app.wheel.begin();
        let count = "SELECT count(*) FROM peer_task WHERE waiting";
        app.waiting.set(must(self.client.query_one(count, &[]).await).get(0));
        for row in must(self.client.query(RECOVER, &[]).await) {
            let mut task = task(&row);
            task.provider_id = row.get(8);
            task.submitted = row.get(9);
            add(&app.in_flight, 1);
            match row.get::<_, i16>(7) {
                1 => {
                    // Perhaps bought: the same key and bytes once more.
                    add(&app.unsent, 1);
                    app.submits.push(task);
                }
                2 => self.polled(task),
                _ => event(app, task.id, &task.name, row.get::<_, String>(10).into()),
            }
        }
        app.orders.push(Order::Claim);
    }

    fn polled(&self, mut task: Box<Task>) {
        task.body = Default::default();
        add(&self.app.running, 1);
        self.app.wheel.spread(task);
    }

    /// How many rows to claim now.
    fn room(&self) -> i64 {
        let app = &self.app;
        if app.draining.get() || app.waiting.get() == 0 {
            return 0;
        }
        let free = app.set.tasks_max - app.in_flight.get();
        free.min(2 * app.set.submits_max - app.unsent.get()).max(0)
    }

    pub async fn run(mut self) {
        let app = self.app.clone();
        loop {
            let mut orders = vec![app.orders.pop().await];
            let wait = app.set.commit_every.saturating_sub(self.last.elapsed());
            if !wait.is_zero() {
                sleep(wait).await;
            }
            while orders.len() < 1000
                && let Some(order) = app.orders.try_pop()
            {
                orders.push(order);
            }
            self.last = Instant::now();
            let stop = orders.iter().any(|o| matches!(o, Order::Stop));
            self.flush(orders).await;
            if stop {
                return;
            }
        }
    }

    async fn flush(&self, orders: Vec<Order>) {
        let (mut ids, mut names, mut times) = (vec![], vec![], vec![]);
        let (mut ends, mut events, mut told) = (vec![], vec![], vec![]);
        for order in &orders {
            match order {
                Order::Running(t) => {
                    ids.push(t.id);
                    names.push(&*t.provider_id);
                    times.push(t.submitted);
                }
                Order::Settled(t, event) => {
                    ends.push(t.id);
                    events.push(&**event);
                }
                Order::Told(id) => told.push(*id),
                Order::Claim | Order::Stop => {}
            }
        }
        let room = self.room();
        let parts = [ids.len(), ends.len(), told.len(), room as usize];
        let many = parts.iter().filter(|n| **n > 0).count() > 1;
        if parts == [0; 4] {
            return;
        }
        let (accepts, settles, tells): ([&(dyn ToSql + Sync); 3], [&(dyn ToSql + Sync); 2], _) =
            ([&ids, &names, &times], [&ends, &events], [&told as &(dyn ToSql + Sync)]);
        // All of it goes out before the first answer is waited for.
        let (_, _, _, _, claimed, _) = join!(
            self.simple("BEGIN", many),
            self.rows(&self.accept, ids.len(), &accepts),
            self.rows(&self.settle, ends.len(), &settles),
            self.rows(&self.tell, told.len(), &tells),
            self.claimed(room),
            self.simple("COMMIT", many),
        );
        let app = &self.app;
        add(&app.waiting, -(claimed.len() as i64));
        add(&app.in_flight, claimed.len() as i64);
        add(&app.unsent, claimed.len() as i64);
        claimed.iter().for_each(|row| app.submits.push(task(row)));
        for order in orders {
            match order {
                Order::Running(t) => self.polled(t),
                Order::Settled(t, text) => event(app, t.id, &t.name, text),
                Order::Told(_) => {
                    add(&app.in_flight, -1);
                    if app.waiting.get() > 0 {
                        app.orders.push(Order::Claim);
                    }
                }
                Order::Claim | Order::Stop => {}
            }
        }
    }

    async fn simple(&self, sql: &str, wanted: bool) {
        if wanted {
            must(self.client.batch_execute(sql).await);
        }
    }

    async fn rows(&self, sql: &Statement, n: usize, values: &[&(dyn ToSql + Sync)]) {
        if n > 0 {
            let written = must(self.client.execute(sql, values).await);
            if written != n as u64 {
                die("rows that were ours are not", format!("{written} of {n}"));
            }
        }
    }

    async fn claimed(&self, room: i64) -> Vec<Row> {
        match room {
            0 => vec![],
            _ => must(self.client.query(&self.claim, &[&room]).await),
        }
    }
}

/// The settled row's event, then the row that says that it was told.
fn event(app: &Rc<App>, id: i64, name: &str, text: Rc<str>) {
    let sent = app.out.send(name, &text);
    let app = app.clone();
    spawn_local(async move {
        sent.await;
        app.orders.push(Order::Told(id));
    });
}
