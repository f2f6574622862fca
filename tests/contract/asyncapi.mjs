// What AsyncAPI's own parser finds wrong with each document that is named: one line of
// JSON a document, {"version":"3.1.0","findings":["operations.x: ..."]}.
import { Parser, fromFile } from "@asyncapi/parser";

for (const path of process.argv.slice(2)) {
  const { document, diagnostics } = await fromFile(new Parser(), path).parse();
  const findings = diagnostics.map((d) => `${d.path.join(".")}: ${d.message}`);
  console.log(JSON.stringify({ version: document?.version() ?? null, findings }));
}
