// One engine of npm as a child process: node rival.mjs ENGINE. Answers lines of JSON with lines of JSON;
// see native-bench/README.md.
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { createInterface } from "node:readline";
import { openEngine } from "./engines.mjs";
import { Rows } from "./rows.mjs";
import { Values } from "./values.mjs";

const engineName = process.argv[2];
let subject;

/** Bytes that this process has caused to be written, once it is quiet. */
async function writtenBytes() {
  let written = -1;
  for (let quiet = 0, attempt = 0; quiet < 3 && attempt < 100; attempt++) {
    const now = Number(/^write_bytes: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))[1]);
    quiet = now === written ? quiet + 1 : 0;
    written = now;
    await delay(200);
  }
  return written;
}

const methods = {
  async open(assignment) {
    await subject?.close();
    const engine = await openEngine(engineName, assignment);
    subject =
      assignment.subject === "rows" ? new Rows(engine, assignment) : new Values(engine, assignment);
    await subject.prepare?.();
  },
  load: () => subject.load(),
  draws: ({ path }) => subject.draw(path),
  readModifyWrite: ({ calls }) => subject.readModifyWrite(calls),
  runTo: ({ calls }) => subject.runTo(calls),
  repetition: ({ millis }) => subject.repetition(millis),
  checksum: (request) => subject.checksum(request),
  writtenBytes,
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const request = JSON.parse(line);
    if (methods[request.op] === undefined) throw new Error(`no op ${request.op}`);
    answer = { value: (await methods[request.op](request)) ?? null };
  } catch (error) {
    process.stderr.write(`${error.stack}\n`);
    answer = { error: error.message };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await subject?.close();
process.exit(0);
