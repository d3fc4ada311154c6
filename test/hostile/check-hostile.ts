// npm run check:hostile -- --json
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type HostileCase, LAID_OUT, caseNames, encodeCase, readCase } from "./case-files.ts";
import type { CaseReport } from "./case.process.ts";
import { canTrace, tracerCommand } from "../support/tracer.ts";
import { type Effect, TRACED_CALLS, effectsOutside } from "./strace.ts";

const help = `Usage: npm run check:hostile -- [--json] [--only <text>] [--shard K/N] [--self-test] [--help]

Opens every hostile checkpoint of test/fixtures/hostile in a process of its own, in every way there is,
and looks with strace for what that process did outside its directory. Without strace this is skipped.

  --json       one JSON object a line
  --only       only cases whose name contains this
  --shard      only every N-th case, from the K-th on
  --self-test  plants a case that is accepted and an effect outside: the check must find both

Ends with 1 if a case is accepted, is refused with another error than it says, ends its process, changes
what is stored, or has an effect outside.
`;

/** Two cores open cases at a time; a process that hangs is ended after this. */
const LANES = 2;
const TIMEOUT_MS = 120_000;
const child = fileURLToPath(new URL("case.process.js", import.meta.url));

interface CaseLine {
  readonly case: string;
  readonly expected: string;
  readonly ok: boolean;
  readonly isSkipped: boolean;
  readonly wronglyAccepted: number;
  readonly crashed: boolean;
  readonly faults: readonly string[];
  readonly effectsOutside: readonly Effect[] | null;
}

interface Target {
  readonly one: HostileCase;
  /** What the child takes: a name, or a path. */
  readonly argument: string;
  /** A command in the place of the child's, for the self-test. */
  readonly instead?: readonly string[];
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: "boolean", default: false },
        only: { type: "string", default: "" },
        shard: { type: "string", default: "1/1" },
        "self-test": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const [, first, every] = /^([1-9]\d{0,3})\/([1-9]\d{0,3})$/.exec(values.shard) ?? [];
    if (first === undefined) throw new RangeError(`--shard takes K/N, got ${values.shard}`);
    return { ...values, first: Number(first) - 1, every: Number(every) };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    process.exit(2);
  }
}

type Tracer = readonly string[] | undefined;

/** The tracer, which is installed if need be; undefined where processes cannot be traced. */
function findTracer(): Tracer {
  if (canTrace()) return tracerCommand;
  if (process.getuid?.() === 0 && spawnSync("strace", ["-V"]).error !== undefined) {
    spawnSync("apt-get", ["install", "-y", "-qq", "strace"], { stdio: "ignore" });
  }
  return canTrace() ? tracerCommand : undefined;
}

interface Ended {
  readonly output: string;
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

function run(command: readonly string[]): Promise<Ended> {
  const [file = "", ...args] = command;
  // File operations of libuv's ring would be invisible to the tracer.
  const env = { ...process.env, UV_USE_IO_URING: "0" };
  return new Promise((resolve, reject) => {
    const started = spawn(file, args, { stdio: ["ignore", "pipe", "ignore"], env });
    const timer = setTimeout(() => started.kill("SIGKILL"), TIMEOUT_MS);
    let output = "";
    started.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
    started.on("error", reject);
    started.on("close", (status, signal) => {
      clearTimeout(timer);
      resolve({ output, status, signal });
    });
  });
}

async function check(target: Target, parent: string, tracer: Tracer): Promise<CaseLine> {
  const { one, argument } = target;
  const root = join(parent, one.name);
  mkdirSync(root);
  const trace = join(parent, `${one.name}.trace`);
  const wrapper = tracer
    ? [...tracer, "-y", "-s", "4096", "-e", `trace=${TRACED_CALLS}`, "-o", trace]
    : [];
  const command = target.instead ?? [process.execPath, child, argument, root];
  const { output, status } = await run([...wrapper, ...command]);
  const report = parse(output);
  const effects = tracer ? effectsOutside(afterLayOut(readFileSync(trace, "utf8")), root) : null;
  rmSync(root, { recursive: true });
  rmSync(trace, { force: true });
  const { isSkipped = false, wronglyAccepted = 0, isChanged = false } = report ?? {};
  const faults = [...(report?.faults ?? [])];
  if (isChanged) faults.push(`${one.name}: what is stored or beside it was changed`);
  const crashed = status !== 0 || report === undefined;
  const ok = !crashed && faults.length === 0 && (effects?.length ?? 0) === 0;
  const expected = one.code ?? "accepted";
  const line = { case: one.name, expected, ok, isSkipped, wronglyAccepted, crashed, faults };
  return { ...line, effectsOutside: effects };
}

/** The child says when the case is laid out; what it did up to there is not the library's. */
function afterLayOut(trace: string): string {
  const at = trace.indexOf(`/${LAID_OUT}"`);
  return at < 0 ? trace : trace.slice(trace.indexOf("\n", at) + 1);
}

function parse(output: string): CaseReport | undefined {
  try {
    return JSON.parse(output) as CaseReport;
  } catch {
    return undefined; // The process ended before it could report.
  }
}

/** An intact checkpoint that claims to be hostile, and a process that writes beside its directory. */
function planted(parent: string): Target[] {
  const intact: HostileCase = {
    name: "self-test-accepted",
    base: "lsm",
    reason: "nothing is wrong with it",
    code: "VARVE_CORRUPTION",
    refusedAt: "opening",
    scanMayPass: false,
    objects: new Map(),
    removed: [],
    tricks: [],
  };
  const path = join(parent, "self-test.json");
  writeFileSync(path, encodeCase(intact));
  const text = JSON.stringify({
    isSkipped: false,
    faults: [],
    wronglyAccepted: 0,
    isChanged: false,
  });
  const script = `require("fs").writeFileSync(${JSON.stringify(join(parent, "effect"))}, "x"); console.log(${JSON.stringify(text)})`;
  return [
    { one: intact, argument: path },
    {
      one: { ...intact, name: "self-test-effect" },
      argument: "",
      instead: [process.execPath, "-e", script],
    },
    {
      one: { ...intact, name: "self-test-crash" },
      argument: "",
      instead: [process.execPath, "-e", "process.abort()"],
    },
  ];
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(help);
    return;
  }
  const print = (line: object): void => {
    const text = options.json
      ? JSON.stringify(line)
      : Object.entries(line)
          .map(
            ([name, value]) =>
              `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`,
          )
          .join("  ");
    process.stdout.write(`${text}\n`);
  };
  const tracer = findTracer();
  const isTraced = tracer !== undefined;
  if (!isTraced) process.stderr.write("skipped: strace not available\n");
  const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const parent = realpathSync(mkdtempSync(join(memory, "varve-check-hostile-")));
  try {
    const { first, every } = options;
    const names = caseNames()
      .filter((name) => name.includes(options.only))
      .filter((_name, index) => index % every === first % every);
    const targets: Target[] = options["self-test"]
      ? planted(parent)
      : names.map((name) => ({ one: readCase(name), argument: name }));
    const lines: CaseLine[] = [];
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let target = targets[next++]; target !== undefined; target = targets[next++]) {
        const line = await check(target, parent, tracer);
        lines.push(line);
        print(line);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    const summary = summaryOf(lines, isTraced);
    print(summary);
    process.exitCode = summary.ok ? 0 : 1;
  } finally {
    rmSync(parent, { recursive: true });
  }
}

function summaryOf(lines: readonly CaseLine[], isTraced: boolean) {
  const sum = (count: (line: CaseLine) => number): number =>
    lines.reduce((total, line) => total + count(line), 0);
  const isHostile = ({ expected, isSkipped }: CaseLine): boolean =>
    expected !== "accepted" && !isSkipped;
  return {
    check: "hostile",
    cases: lines.length,
    hostile: lines.filter(isHostile).length,
    rejected: lines.filter((line) => isHostile(line) && line.ok).length,
    legal: lines.filter(({ expected }) => expected === "accepted").length,
    skipped: lines.filter(({ isSkipped }) => isSkipped).length,
    wronglyAccepted: sum((line) => line.wronglyAccepted),
    effectsOutsideRoot: isTraced ? sum((line) => line.effectsOutside?.length ?? 0) : null,
    crashed: lines.filter(({ crashed }) => crashed).length,
    ok: lines.length > 0 && lines.every(({ ok }) => ok),
  };
}

await main();
