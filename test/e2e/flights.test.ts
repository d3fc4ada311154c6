// Goal: the main job is exactly right after kills, and says clearly what it cannot take. The whole
// program runs, with its processes; results are compared with a computation made here.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { copyFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { afterAll, beforeAll, describe, test } from "vitest";
import { DEFAULT_INPUT } from "../../examples/flights/default-input.ts";
import { sample } from "../support/long-tests.ts";

const program = fileURLToPath(new URL("../../examples/flights/main.js", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "varve-flights-test-"));
const temporary = join(root, "tmp");
mkdirSync(temporary);

afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Outcome {
  readonly status: number | null;
  readonly lines: readonly string[];
  readonly errors: string;
}

/** Runs the program with a temporary directory of its own. `onErrors` sees standard error so far. */
function start(args: readonly string[], onErrors?: (text: string, pid: number) => void) {
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...process.env, TMPDIR: temporary },
    timeout: 100_000,
  });
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
    onErrors?.(errors, child.pid!);
  });
  return new Promise<Outcome>((resolve) => {
    child.on("close", (status) => resolve({ status, lines: output.trim().split("\n"), errors }));
  });
}

const run = (...args: string[]): Promise<Outcome> => start(args);

interface Row {
  readonly date: Date;
  readonly delay: bigint;
  readonly origin: string;
  readonly destination: string;
}

/** routes.csv of the first records, computed in the plainest way. */
async function expectedCsv(limit: number): Promise<string> {
  const file = await asyncBufferFromFile(DEFAULT_INPUT);
  const rows = (await parquetReadObjects({ file, compressors, rowEnd: limit })) as unknown as Row[];
  const flights = new Set<string>();
  const days = new Map<string, number[]>();
  for (const row of rows) {
    const flight = JSON.stringify(Object.values(row), (_name, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    if (flights.has(flight)) continue;
    flights.add(flight);
    const key = [row.origin, row.destination, row.date.toISOString().slice(0, 10)].join(",");
    days.set(key, [...(days.get(key) ?? []), Number(row.delay)]);
  }
  const lines = [...days].map(
    ([key, delays]) =>
      `${key},${delays.length},${delays.reduce((a, b) => a + b, 0)},${Math.max(...delays)}\r\n`,
  );
  return `origin,destination,day,flights,sum_delay,worst_delay\r\n${lines.sort().join("")}`;
}

describe("npm start", () => {
  const LIMIT = 60_000;
  let expected = "";
  beforeAll(async () => {
    expected = await expectedCsv(LIMIT);
  });

  const kinds = [
    ["lsm", "changelog", "50"],
    ["lsm", "incremental", "500"],
    ["memory", "full", "500"],
  ] as const;
  test.each(sample(kinds, 2))(
    "is exactly right on the %s backend, policy %s, a checkpoint every %s ms, after a kill",
    async (backend, policy, interval) => {
      const output = join(root, `${backend}-${policy}`);
      const kind = ["--backend", backend, "--policy", policy, "--interval", interval];
      const args = ["--limit", String(LIMIT), "--kills", "1", ...kind];
      const { status, lines, errors } = await run(...args, "--json", "--output", output);
      assert.equal(status, 0, errors);
      const summary = JSON.parse(lines.at(-1)!) as Record<string, unknown>;
      assert.equal(summary["ok"], true);
      assert.equal(summary["records"], LIMIT);
      assert.equal(summary["redelivered"], LIMIT * 0.02);
      assert.ok((summary["kills"] as number) >= 1);
      assert.ok((summary["killsDuringCheckpoint"] as number) >= 1);
      assert.equal((summary["recoveryMs"] as number[]).length, summary["kills"]);
      const replayed = summary["replayedRecords"] as number[];
      assert.equal(replayed.length, summary["kills"]);
      assert.ok(replayed.every((count) => count > 0));
      for (const name of summaryFields.split(" ")) assert.ok(name in summary, name);
      assert.equal(summary["policy"], policy);
      assert.equal((summary["restoreMs"] as number[]).length, summary["kills"]);
      const [logged, all] = [summary["logBytes"] as number, summary["changeBytes"] as number];
      assert.ok(all > LIMIT * 200);
      if (policy === "changelog") {
        assert.ok(logged > 0 && logged < all, `${logged} of ${all}`);
        // All but the first checkpoint, which is all base, have a log to replay.
        const restarts = [...errors.matchAll(/restarted from (?:checkpoint (\d+)|the beginning)/g)];
        const hasLog = restarts.map(([, id = "0"]) => Number(id) > 1);
        const replays = summary["replayedLogBytes"] as number[];
        assert.equal(hasLog.length, summary["kills"]);
        assert.deepEqual(
          replays.map((bytes) => bytes > 0),
          hasLog,
        );
        assert.ok(lines.some((line) => /^ {2}log +\d.* of all changes/.test(line)));
      } else {
        assert.equal(logged, 0);
      }
      assert.deepEqual(readdirSync(output), ["routes.csv"]);
      assert.equal(readFileSync(join(output, "routes.csv"), "utf8"), expected);
      assert.deepEqual(readdirSync(temporary), []);
    },
    60_000,
  );

  test("cleans up when it is stopped", async () => {
    let isStopped = false;
    const { status } = await start(["--limit", "500000"], (text, pid) => {
      if (isStopped || !text.includes("checkpoint 1 ")) return;
      isStopped = true;
      process.kill(pid, "SIGTERM");
    });
    assert.equal(status, 128 + 15);
    assert.deepEqual(readdirSync(temporary), []);
  }, 60_000);

  test("explains itself", async () => {
    const { status, lines } = await run("--help");
    assert.equal(status, 0);
    for (const flag of ["--kills", "--limit", "--backend", "--policy", "--budget", "--interval"]) {
      assert.ok(lines.some((line) => line.includes(flag)));
    }
  });
});

/** Others read these. */
const summaryFields =
  "records redelivered recordsPerSecond keys coldReads stateBytes memoryBudgetBytes peakRssBytes " +
  "peakAnonBytes kills killsDuringCheckpoint replayedRecords checkpoints checkpointMsP50 " +
  "checkpointMsP99 pauseMsP50 pauseMsP99 uploadedBytes recoveryMs lost duplicated wrong ok " +
  "policy intervalMs changeBytes logBytes logShare materializations restoreMs replayedLogBytes";

describe("with bad input, npm start ends with exit code 2 and creates nothing", () => {
  const cut = join(root, "cut.parquet");
  const flipped = join(root, "flipped.parquet");
  const foreign = join(root, "foreign.parquet");
  const file = join(root, "file");
  beforeAll(() => {
    const bytes = readFileSync(DEFAULT_INPUT);
    writeFileSync(cut, bytes.subarray(0, 1_000_000));
    copyFileSync(DEFAULT_INPUT, flipped);
    bytes[6_000_000]! ^= 1;
    writeFileSync(flipped, bytes);
    writeFileSync(foreign, "PAR1 no, it is not PAR1");
    writeFileSync(file, "");
  });

  test.each([
    ["an unknown flag", ["--no-such-flag"], /--no-such-flag/],
    ["an argument", ["3000000"], /3000000/],
    ["a negative number", ["--kills=-1"], /--kills/],
    ["a number out of range", ["--interval", "1"], /--interval.*10 to 600000/],
    ["no number", ["--budget", "much"], /--budget/],
    ["an unknown backend", ["--backend", "redis"], /--backend is lsm or memory/],
    ["an unknown policy", ["--policy", "none"], /--policy/],
    ["a policy the backend lacks", ["--backend=memory", "--policy=incremental"], /--policy/],
    ["too few records to kill anything", ["--limit", "10", "--kills", "1"], /--kills/],
    ["a missing input", ["--input", "/no/such/file.parquet"], /\/no\/such\/file\.parquet/],
    ["a directory as input", ["--input", root], /cannot be read|not an intact/],
    ["a truncated input", ["--input", cut], /not an intact Parquet file/],
    ["a changed bit in the input", ["--input", flipped], /damaged/],
    ["an input of another kind", ["--input", foreign], /not an intact Parquet file/],
    ["a file as output directory", ["--output", file], /--output/],
    ["an output directory below a file", ["--output", join(file, "below")], /--output/],
  ])(
    "%s",
    async (_what, args, message) => {
      const output = join(root, "refused");
      const withOutput = args.includes("--output") ? args : [...args, "--output", output];
      const { status, lines, errors } = await run(...withOutput, "--json");
      assert.equal(status, 2, errors);
      assert.match(errors, message);
      assert.doesNotMatch(errors, /^\s+at /m); // A message, not a stack.
      assert.deepEqual(lines, [""]);
      assert.equal(existsSync(output), false);
      assert.deepEqual(readdirSync(temporary), []);
    },
    30_000,
  );
});
