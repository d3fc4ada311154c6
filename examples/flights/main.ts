// npm start: see HELP in options.ts.
import { fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { deliveryOrder } from "./delivery-order.ts";
import { FlightFile, InputError } from "./flight-file.ts";
import type { RunDirectories } from "./job-messages.ts";
import { type FlightsOptions, HELP, UsageError, killCount, parseOptions } from "./options.ts";
import { Progress } from "./progress.ts";
import { summarize, table } from "./summary.ts";
import { Supervisor } from "./supervisor.ts";
import type { VerificationResult, VerificationStart } from "./verification.ts";

const EXIT_WRONG = 1;
const EXIT_USAGE = 2;

async function run(options: FlightsOptions): Promise<number> {
  const file = await FlightFile.open(options.inputPath, options.limit);
  const kills = killCount(options.kills, file.recordCount);
  const positions = deliveryOrder(file.recordCount).records.length;
  const root = await mkdtemp(join(tmpdir(), "varve-flights-"));
  try {
    return await runIn(root, options, kills, positions);
  } finally {
    if (options.keep) process.stderr.write(`kept: ${root}\n`);
    else await rm(root, { recursive: true, force: true });
  }
}

async function runIn(
  root: string,
  options: FlightsOptions,
  kills: number,
  positions: number,
): Promise<number> {
  const { inputPath, limit, backend, policy, budgetMib, intervalMs, seed } = options;
  const directories: RunDirectories = {
    working: join(root, "working"),
    checkpoints: join(root, "checkpoints"),
    output: join(root, "output"),
    dump: join(root, "dump"),
  };
  const progress = new Progress(positions);
  progress.note(
    `${positions} deliveries, backend ${backend}, policy ${policy}, budget ${budgetMib} MiB`,
  );
  const start = { inputPath, limit, backend, policy, budgetMib, intervalMs, directories };
  const report = await new Supervisor(start, positions, kills, seed, progress).run();
  progress.note("verifying every key of every state and every output row");
  const startMs = performance.now();
  const verified = await verifyElsewhere({
    inputPath,
    limit,
    dumpDirectory: directories.dump,
    outputDirectory: directories.output,
    resultDirectory: options.outputDirectory,
  });
  const summary = summarize(options, report, verified, kills, performance.now() - startMs);
  progress.end();
  for (const difference of verified.first) process.stderr.write(`${difference}\n`);
  const text = table(summary, verified);
  if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else process.stdout.write(`${text}\n`);
  return summary.ok ? 0 : EXIT_WRONG;
}

function verifyElsewhere(start: VerificationStart): Promise<VerificationResult> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL("./verification.process.js", import.meta.url), {
      execArgv: ["--max-old-space-size=4096"],
    });
    child.on(
      "message",
      (message: { kind: string; result?: VerificationResult; message?: string }) => {
        if (message.result !== undefined) resolve(message.result);
        else reject(new Error(message.message));
      },
    );
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      reject(new Error(`the verification ended with ${signal ?? `code ${code}`}`));
    });
    child.send(start);
  });
}

async function main(): Promise<number> {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === "help") {
      process.stdout.write(HELP);
      return 0;
    }
    return await run(options);
  } catch (error) {
    if (error instanceof UsageError || error instanceof InputError) {
      process.stderr.write(`${error.message}\n`);
      return EXIT_USAGE;
    }
    process.stderr.write(
      `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return EXIT_WRONG;
  }
}

process.exitCode = await main();
