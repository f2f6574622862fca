//! A worker of the same job in Rust: Kafka in, PostgreSQL, the provider, a directory or
//! S3, Kafka out. It is there to be measured beside pixverse-worker (../README.md).
//! One thread runs everything but librdkafka's own and the writing of files.

mod event;
mod http;
mod intake;
mod provider;
mod store;
mod transfer;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::spawn_local;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub struct Settings {
    pub brokers: String,
    pub group: String,
    pub requests: String,
    pub events: String,
    pub database: String,
    pub provider: String,
    pub api_key: String,
    pub storage: String,
    pub key_template: String,
    pub admin: String,
    pub poll_interval: Duration,
    pub commit_every: Duration,
    pub tasks_max: i64,
    pub submits_max: i64, // 0: nothing is submitted
    pub transfers_max: i64,
    pub backlog_max: i64,
    pub polls: i64,
}

pub fn text(name: &str, otherwise: &str) -> String {
    std::env::var(name).ok().filter(|v| !v.is_empty()).unwrap_or_else(|| otherwise.into())
}

fn number(name: &str, otherwise: i64) -> i64 {
    text(name, &otherwise.to_string()).parse().unwrap_or_else(|e| die(name, e))
}

fn settings() -> Settings {
    let ms = |name, otherwise| Duration::from_millis(number(name, otherwise) as u64);
    Settings {
        brokers: text("KAFKA_BROKERS", "127.0.0.1:9092"),
        group: text("KAFKA_GROUP", "pixverse-worker"),
        requests: text("KAFKA_REQUEST_TOPIC", "pixverse.requests"),
        events: text("KAFKA_EVENT_TOPIC", "pixverse.events"),
        database: text("DATABASE_URL", "postgresql:///pixverse"),
        provider: text("APIMART_BASE_URL", "http://127.0.0.1"),
        api_key: text("APIMART_API_KEY", ""),
        storage: text("STORAGE_URL", "file:///var/lib/pixverse/videos"),
        key_template: text("KEY_TEMPLATE", "{tenant}/{yyyy}/{mm}/{dd}/{request_id}/{index}.mp4"),
        admin: text("ADMIN_LISTEN", "127.0.0.1:9464"),
        poll_interval: ms("POLL_INTERVAL_MS", 5000),
        commit_every: ms("PEER_COMMIT_EVERY_MS", 0),
        tasks_max: number("TASKS_MAX", 10000),
        submits_max: number("SUBMITS_MAX", 32),
        transfers_max: number("TRANSFERS_MAX", 8),
        backlog_max: number("BACKLOG_MAX", 100000),
        polls: number("PEER_POLL_CONNECTIONS", 32),
    }
}

/// A fault that a restart mends better than we could: everything is in the database.
pub fn die(what: &str, error: impl std::fmt::Display) -> ! {
    eprintln!("{what}: {error}");
    std::process::exit(1)
}

/// A task that this process works on. One coroutine at a time has it.
pub struct Task {
    pub id: i64,
    pub name: Box<str>,
    pub tenant: Box<str>,
    pub key: Box<str>,
    pub provider_id: Box<str>,
    pub body: bytes::Bytes, // until it has been sent
    pub metadata: Option<Box<str>>,
    pub due: Instant,
    pub received: i64, // Unix ms
    pub submitted: i64,
    pub end: Option<Box<End>>,
}

/// What the provider said of a completed task.
pub struct End {
    pub generated: i64,
    pub cost: Option<f64>,
    pub credits: Option<f64>,
    pub urls: Vec<String>,
}

/// Many coroutines take what many put in.
pub struct Queue<T> {
    items: RefCell<VecDeque<T>>,
    more: Notify,
}

impl<T> Queue<T> {
    fn new() -> Self {
        Queue { items: RefCell::default(), more: Notify::new() }
    }

    pub fn push(&self, item: T) {
        self.items.borrow_mut().push_back(item);
        self.more.notify_one();
    }

    pub fn try_pop(&self) -> Option<T> {
        self.items.borrow_mut().pop_front()
    }

    pub async fn pop(&self) -> T {
        loop {
            if let Some(item) = self.try_pop() {
                return item;
            }
            self.more.notified().await;
        }
    }
}

pub struct App {
    pub set: Settings,
    pub orders: Queue<store::Order>,
    pub submits: Queue<Box<Task>>,
    pub transfers: Queue<Box<Task>>,
    pub due: Queue<Box<Task>>,
    pub provider: Rc<http::Host>,
    pub bearer: HeaderValue,
    pub wheel: provider::Wheel,
    pub out: event::Announcer,
    pub submit_gate: provider::Gate,
    pub poll_gate: provider::Gate,
    pub waiting: Cell<i64>,   // rows that nobody has claimed
    pub in_flight: Cell<i64>, // claimed, not told
    pub unsent: Cell<i64>,    // claimed, no answer yet
    pub running: Cell<i64>,
    pub draining: Cell<bool>,
    pub ready: Cell<bool>,
    pub polls: Cell<u64>,
    pub submitted: Cell<u64>,
    pub late: [Cell<u64>; BUCKETS.len() + 1],
}

pub fn add(cell: &Cell<i64>, n: i64) {
    cell.set(cell.get() + n);
}

pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .build()
        .unwrap_or_else(|e| die("tokio", e));
    tokio::task::LocalSet::new().block_on(&runtime, run());
    std::process::exit(0)
}

async fn run() {
    let set = settings();
    let provider = url::Url::parse(&set.provider).map_err(Into::into);
    let provider = provider.and_then(|url| http::Host::of(&url));
    let bearer = format!("Bearer {}", set.api_key).try_into();
    let app = Rc::new(App {
        orders: Queue::new(),
        submits: Queue::new(),
        transfers: Queue::new(),
        due: Queue::new(),
        provider: provider.unwrap_or_else(|e| die("APIMART_BASE_URL", e)),
        bearer: bearer.unwrap_or_else(|e| die("APIMART_API_KEY", e)),
        wheel: provider::Wheel::new(set.poll_interval),
        out: event::Announcer::new(&set),
        submit_gate: Default::default(),
        poll_gate: Default::default(),
        waiting: Cell::new(0),
        in_flight: Cell::new(0),
        unsent: Cell::new(0),
        running: Cell::new(0),
        draining: Cell::new(false),
        ready: Cell::new(false),
        polls: Cell::new(0),
        submitted: Cell::new(0),
        late: Default::default(),
        set,
    });
    let mut term = signal(SignalKind::terminate()).unwrap_or_else(|e| die("SIGTERM", e));
    let sink = transfer::Sink::new(&app.set);
    spawn_local(serve(app.clone()));
    // Waits until no other process of ours works on this database.
    let store = store::Store::open(app.clone()).await;
    store.recover().await;
    let written = spawn_local(store.run());
    spawn_local(provider::turn(app.clone()));
    for _ in 0..app.set.submits_max {
        spawn_local(provider::submit_loop(app.clone()));
    }
    for _ in 0..app.set.polls {
        spawn_local(provider::poll_loop(app.clone()));
    }
    for _ in 0..app.set.transfers_max {
        spawn_local(transfer::transfer_loop(app.clone(), sink.clone()));
    }
    let stop = Rc::new(Notify::new());
    let intake = spawn_local(intake::run(app.clone(), stop.clone()));
    app.ready.set(true);
    term.recv().await;
    // Nothing new; what was sent is answered and written; the rest is in the database.
    app.draining.set(true);
    app.ready.set(false);
    stop.notify_one();
    let _ = intake.await;
    let end = Instant::now() + Duration::from_secs(10);
    while app.unsent.get() > 0 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    app.out.flush();
    tokio::task::yield_now().await;
    app.orders.push(store::Order::Stop);
    let _ = written.await;
}

// --- metrics, in the names of pixverse-worker ---------------------------------

const BUCKETS: [f64; 20] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10., 30., 60., 120.,
    300., 600., 1800., 3600.,
];

impl App {
    pub fn observe_late(&self, late: Duration) {
        let seconds = late.as_secs_f64();
        let at = BUCKETS.iter().position(|end| seconds <= *end).unwrap_or(BUCKETS.len());
        self.late[at].set(self.late[at].get() + 1);
    }

    fn metrics(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "pixverse_polls_total {}", self.polls.get());
        let _ = writeln!(out, "pixverse_submits_total {}", self.submitted.get());
        let _ = writeln!(out, "pixverse_tasks{{state=\"running\"}} {}", self.running.get());
        let mut total = 0;
        for (i, count) in self.late.iter().enumerate() {
            total += count.get();
            let end = BUCKETS.get(i).map_or("+Inf".into(), |end| end.to_string());
            let _ = writeln!(out, "pixverse_poll_lateness_seconds_bucket{{le=\"{end}\"}} {total}");
        }
        out
    }
}

async fn serve(app: Rc<App>) {
    let listener = tokio::net::TcpListener::bind(&app.set.admin).await;
    let listener = listener.unwrap_or_else(|e| die("ADMIN_LISTEN", e));
    while let Ok((mut stream, _)) = listener.accept().await {
        let app = app.clone();
        spawn_local(async move {
            let mut request = [0; 2048];
            let n = stream.read(&mut request).await.unwrap_or(0);
            let (status, body) = match request[..n].split(|b| *b == b' ').nth(1) {
                Some(b"/metrics") => ("200 OK", app.metrics()),
                Some(b"/readyz") if app.ready.get() => ("200 OK", String::new()),
                _ => ("503 Service Unavailable", String::new()),
            };
            let head = format!("HTTP/1.0 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes()).await;
        });
    }
}
