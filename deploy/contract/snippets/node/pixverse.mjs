// Send requests and hear how they end.
//
//   node pixverse.mjs send FILE…       check each request, then put it on the topic
//   node pixverse.mjs hear ID… [--seen FILE]
//                                      print what is told, each event once, until the
//                                      ends of these requests are there
//
// npm install
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { Kafka, logLevel } from "kafkajs";

const env = process.env;
const contract = env.CONTRACT ?? new URL("../..", import.meta.url).pathname;
const kafka = new Kafka({
  brokers: (env.KAFKA_BROKERS ?? "127.0.0.1:9092").split(","),
  logLevel: logLevel.ERROR,
});
const ajv = new Ajv({ strict: false, allErrors: true });
formats(ajv);

function schema(name) {
  return ajv.compile(JSON.parse(readFileSync(`${contract}/${name}.schema.json`)));
}

function hold(rules, value, what) {
  if (!rules(value)) {
    throw new Error(`${what}: ${ajv.errorsText(rules.errors)}`);
  }
}

async function send(paths) {
  const rules = schema("request");
  const messages = paths.map((path) => {
    const request = JSON.parse(readFileSync(path));
    hold(rules, request, path);
    return { key: request.request_id, value: JSON.stringify(request) };
  });
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  // Acknowledged by all replicas, or it throws: send the same again, an id buys once.
  await producer.send({
    topic: env.KAFKA_REQUEST_TOPIC ?? "pixverse.requests", acks: -1, messages,
  });
  await producer.disconnect();
}

async function hear(ids, seenPath) {
  // Where an event has effects, its ce_id belongs into their transaction.
  const seen = new Set(
    existsSync(seenPath) ? readFileSync(seenPath, "ascii").split("\n") : []);
  const rules = Object.fromEntries(["accepted", "completed", "failed"].map(
    (word) => [`video.generation.${word}`, schema(`event.${word}`)]));
  const waiting = new Set(ids);
  const consumer = kafka.consumer({ groupId: env.KAFKA_GROUP ?? "pixverse-node" });
  await consumer.connect();
  await consumer.subscribe({
    topic: env.KAFKA_EVENT_TOPIC ?? "pixverse.events", fromBeginning: true,
  });
  await new Promise((done, fail) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => fail(payload.error));
    consumer.run({
      eachMessage: async ({ message }) => {
        const type = String(message.headers.ce_type);
        const id = String(message.headers.ce_id);
        if (!rules[type]) {
          return; // a later version may tell more
        }
        const event = JSON.parse(message.value);
        hold(rules[type], event, id);
        if (!seen.has(id)) {
          seen.add(id);
          console.log(id, event.request_id, event.status);
          appendFileSync(seenPath, `${id}\n`);
        }
        if (event.status !== "accepted") {
          waiting.delete(event.request_id);
        }
        if (!waiting.size) {
          done();
        }
      },
    });
  });
  await consumer.disconnect();
}

const [verb, ...words] = process.argv.slice(2);
const at = words.includes("--seen") ? words.indexOf("--seen") : words.length;
if (verb === "send") {
  await send(words);
} else if (verb === "hear") {
  await hear(words.slice(0, at), words[at + 1] ?? "seen");
} else {
  console.error("node pixverse.mjs send FILE… | hear ID… [--seen FILE]");
  process.exitCode = 2;
}
