//! Rows first, then their offsets: each lane stores its partitions' messages in order and
//! stores their offsets, which librdkafka commits once a second and when it leaves.

use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Message};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_local;

use crate::store::{Order, connect, must};
use crate::{App, add, die, now_ms};

const LANES: usize = 2; // connections that insert; a partition has one of them
const ROWS_MOST: usize = 1000; // in one statement

const INSERT: &str = "INSERT INTO peer_task
    (request_id, tenant, body, metadata, key, received_ms)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
ON CONFLICT DO NOTHING";

/// As much of a request as is needed to pass it on.
#[derive(Deserialize)]
struct Request<'a> {
    request_id: String,
    tenant: Option<String>,
    #[serde(borrow)]
    request: &'a RawValue,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Model {
    model: Option<serde::de::IgnoredAny>,
}

#[derive(Default)]
struct Batch {
    names: Vec<String>,
    tenants: Vec<String>,
    bodies: Vec<String>,
    metadata: Vec<Option<String>>,
    keys: Vec<String>,
    times: Vec<i64>,
    offsets: Vec<(i32, i64)>, // the next one of each partition
}

impl Batch {
    fn add(&mut self, message: &BorrowedMessage, now: i64) {
        match self.offsets.iter_mut().find(|(p, _)| *p == message.partition()) {
            Some((_, offset)) => *offset = message.offset(),
            None => self.offsets.push((message.partition(), message.offset())),
        }
        let value = message.payload().unwrap_or_default();
        let Ok(r) = serde_json::from_slice::<Request>(value) else {
            eprintln!("{}@{} is no request", message.partition(), message.offset());
            return;
        };
        let body = r.request.get();
        let Ok(known) = serde_json::from_str::<Model>(body) else {
            eprintln!("{}@{} is no request", message.partition(), message.offset());
            return;
        };
        let rest = body[1..].trim_start();
        self.bodies.push(match known.model {
            Some(_) => body.into(),
            None if rest.starts_with('}') => r#"{"model":"pixverse-v6"}"#.into(),
            None => [r#"{"model":"pixverse-v6","#, rest].concat(),
        });
        self.names.push(r.request_id);
        self.tenants.push(r.tenant.unwrap_or_else(|| "default".into()));
        self.metadata.push(r.metadata.map(|m| m.get().into()));
        self.keys.push(uuid::Uuid::new_v4().to_string());
        self.times.push(now);
    }
}

pub async fn run(app: Rc<App>, stop: Rc<Notify>) {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &app.set.brokers)
        .set("group.id", &app.set.group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.offset.store", "false")
        .set("auto.commit.interval.ms", "1000")
        .set("session.timeout.ms", "6000")
        .set("queued.max.messages.kbytes", "16384")
        .create()
        .unwrap_or_else(|e| die("KAFKA_BROKERS", e));
    consumer.subscribe(&[&app.set.requests]).unwrap_or_else(|e| die("Kafka", e));
    let consumer = Rc::new(consumer);
    let mut lanes = vec![];
    let mut joined = vec![];
    for _ in 0..LANES {
        let (sender, receiver) = mpsc::channel(1);
        lanes.push(sender);
        joined.push(spawn_local(lane(app.clone(), consumer.clone(), receiver)));
    }
    loop {
        while app.waiting.get() >= app.set.backlog_max {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut next = tokio::select! {
            message = consumer.recv() => Some(message),
            () = stop.notified() => break,
        };
        let mut batches: [Batch; LANES] = Default::default();
        let (now, mut n) = (now_ms(), 0);
        while let Some(message) = next {
            match message {
                Ok(m) => batches[m.partition() as usize % LANES].add(&m, now),
                Err(error) => eprintln!("Kafka: {error}"),
            }
            n += 1;
            next = if n < ROWS_MOST { consumer.recv().now_or_never() } else { None };
        }
        for (lane, batch) in lanes.iter().zip(batches) {
            if !batch.offsets.is_empty() {
                let _ = lane.send(batch).await;
            }
        }
    }
    drop(lanes);
    for lane in joined {
        let _ = lane.await;
    }
    let _ = consumer.commit_consumer_state(rdkafka::consumer::CommitMode::Sync);
}

async fn lane(app: Rc<App>, consumer: Rc<StreamConsumer>, mut batches: mpsc::Receiver<Batch>) {
    let client = connect(&app).await;
    let insert = must(client.prepare(INSERT).await);
    while let Some(b) = batches.recv().await {
        if !b.names.is_empty() {
            let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
                &[&b.names, &b.tenants, &b.bodies, &b.metadata, &b.keys, &b.times];
            add(&app.waiting, must(client.execute(&insert, values).await) as i64);
            app.orders.push(Order::Claim);
        }
        for (partition, offset) in b.offsets {
            // A partition that was taken from us meanwhile is read again by its owner.
            let _ = consumer.store_offset(&app.set.requests, partition, offset);
        }
    }
}
