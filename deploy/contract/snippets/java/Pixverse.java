import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SchemaValidatorsConfig;
import com.networknt.schema.SpecVersion;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

/**
 * Send requests and hear how they end.
 *
 * <pre>
 * java Pixverse.java send FILE…   check each request, then put it on the topic
 * java Pixverse.java hear ID… [--seen FILE]
 *                                 print what is told, each event once, until the ends
 *                                 of these requests are there
 * </pre>
 */
public class Pixverse {
    static final ObjectMapper JSON = new ObjectMapper();

    static String setting(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }

    static Map<String, Object> kafka(Object... more) {
        var all = new HashMap<String, Object>();
        all.put("bootstrap.servers", setting("KAFKA_BROKERS", "127.0.0.1:9092"));
        for (int i = 0; i < more.length; i += 2) {
            all.put((String) more[i], more[i + 1]);
        }
        return all;
    }

    static JsonSchema schema(String name) throws Exception {
        var factory = JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012);
        var config = SchemaValidatorsConfig.builder().formatAssertionsEnabled(true).build();
        var path = Path.of(setting("CONTRACT", "../.."), name + ".schema.json");
        return factory.getSchema(Files.readString(path), config);
    }

    static void hold(JsonSchema rules, JsonNode value, String what) {
        var faults = rules.validate(value);
        if (!faults.isEmpty()) {
            System.err.println(what + ": " + faults);
            System.exit(1);
        }
    }

    static void send(List<String> paths) throws Exception {
        var rules = schema("request");
        var topic = setting("KAFKA_REQUEST_TOPIC", "pixverse.requests");
        var records = new ArrayList<ProducerRecord<String, String>>();
        for (String path : paths) {
            var request = JSON.readTree(Path.of(path).toFile());
            hold(rules, request, path);
            var id = request.get("request_id").asText();
            records.add(new ProducerRecord<>(topic, id, request.toString()));
        }
        // Idempotent and acks=all by default; what fails is sent again: an id buys once.
        try (var producer = new KafkaProducer<>(
                kafka(), new StringSerializer(), new StringSerializer())) {
            for (var record : records) {
                producer.send(record).get();
            }
        }
    }

    static String header(ConsumerRecord<String, String> record, String name) {
        var header = record.headers().lastHeader(name);
        return header == null ? "" : new String(header.value());
    }

    static void hear(List<String> ids, Path seenPath) throws Exception {
        // Where an event has effects, its ce_id belongs into their transaction.
        var seen = new HashSet<String>();
        if (Files.exists(seenPath)) {
            seen.addAll(Files.readAllLines(seenPath));
        }
        var rules = new HashMap<String, JsonSchema>();
        for (String word : List.of("accepted", "completed", "failed")) {
            rules.put("video.generation." + word, schema("event." + word));
        }
        var waiting = new HashSet<>(ids);
        var options = kafka("group.id", setting("KAFKA_GROUP", "pixverse-java"),
                "auto.offset.reset", "earliest", "enable.auto.commit", false);
        try (var consumer = new KafkaConsumer<>(
                options, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(setting("KAFKA_EVENT_TOPIC", "pixverse.events")));
            while (!waiting.isEmpty()) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    var rule = rules.get(header(record, "ce_type"));
                    if (rule == null) {
                        continue; // a later version may tell more
                    }
                    var id = header(record, "ce_id");
                    var event = JSON.readTree(record.value());
                    hold(rule, event, id);
                    var name = event.get("request_id").asText();
                    var status = event.get("status").asText();
                    if (seen.add(id)) {
                        System.out.println(id + " " + name + " " + status);
                        Files.writeString(seenPath, id + "\n", StandardOpenOption.CREATE,
                                StandardOpenOption.APPEND);
                    }
                    if (!status.equals("accepted")) {
                        waiting.remove(name);
                    }
                }
                consumer.commitSync();
            }
        }
    }

    public static void main(String[] words) throws Exception {
        var all = List.of(words);
        int at = all.contains("--seen") ? all.indexOf("--seen") : all.size();
        if (all.size() > 1 && all.get(0).equals("send")) {
            send(all.subList(1, all.size()));
        } else if (all.size() > 1 && all.get(0).equals("hear")) {
            hear(all.subList(1, at), Path.of(at + 1 < all.size() ? all.get(at + 1) : "seen"));
        } else {
            System.err.println("java Pixverse.java send FILE… | hear ID… [--seen FILE]");
            System.exit(2);
        }
    }
}
