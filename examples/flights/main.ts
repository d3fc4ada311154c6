// npm start: see HELP in options.ts.
import { mkdtemp, rm } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { deliveryOrder } from "./delivery-order.ts";
import { InputError } from "./flight-file.ts";
import type { FlightFile } from "./flight-file.ts";
import { checkInput } from "./input-check.ts";
import type { RunDirectories } from "./job-messages.ts";
import { KillPlan } from "./kill-plan.ts";
import { HELP, UsageError, killCount, parseOptions } from "./options.ts";
import type { FlightsOptions } from "./options.ts";
import { checkOutputDirectory } from "./output-directory.ts";
import { Progress } from "./progress.ts";
import { summarize } from "./summary.ts";
import { summaryTable } from "./summary-table.ts";
import { Supervisor } from "./supervisor.ts";
import { VerificationClient } from "./verification-client.ts";

const EXIT_WRONG = 1;
const EXIT_USAGE = 2;
/** A shell's code for a process that a signal ended. */
const EXIT_SIGNAL = 128;

async function run(options: FlightsOptions, signal: AbortSignal): Promise<number> {
  // Everything that may be refused comes before anything is created.
  if (options.outputDirectory !== undefined) await checkOutputDirectory(options.outputDirectory);
  const file = await checkInput(options.inputPath, options.limit);
  const kills = killCount(options.kills, file.recordCount);
  const root = await mkdtemp(join(tmpdir(), "varve-flights-"));
  try {
    return await runIn(root, options, file, kills, signal);
  } finally {
    if (options.keep) process.stderr.write(`kept: ${root}\n`);
    else await rm(root, { recursive: true, force: true });
  }
}

async function runIn(
  root: string,
  options: FlightsOptions,
  file: FlightFile,
  kills: number,
  signal: AbortSignal,
): Promise<number> {
  const { inputPath, limit, backend, policy, budgetMib, intervalMs, seed } = options;
  const directories: RunDirectories = {
    working: join(root, "working"),
    checkpoints: join(root, "checkpoints"),
    output: join(root, "output"),
    dump: join(root, "dump"),
  };
  const groupRows = Math.max(...file.groups.map((group) => group.rowsInFile));
  const positionCount = deliveryOrder(file.recordCount).records.length;
  const progress = new Progress(positionCount);
  progress.note(
    `${file.recordCount} records, ${positionCount} deliveries; backend ${backend}, policy ${policy}, ` +
      `budget ${budgetMib} MiB, a checkpoint every ${intervalMs} ms, ${kills} kills`,
  );
  const verification = new VerificationClient({
    inputPath,
    limit,
    dumpDirectory: directories.dump,
    outputDirectory: directories.output,
    resultDirectory: options.outputDirectory,
  });
  signal.addEventListener("abort", () => verification.stop());
  try {
    const job = { backend, policy, budgetMib, intervalMs, directories };
    const start = { ...job, inputPath, limit, groupRows };
    const plan = new KillPlan(positionCount, kills, intervalMs, seed);
    const report = await new Supervisor(start, positionCount, plan, signal, {
      progress: (...state) => progress.progress(...state),
      checkpoint: (checkpoint) => progress.checkpoint(checkpoint),
      note: (text) => progress.note(text),
      inputEnded() {
        progress.note("verifying every output row and every key of every state");
        verification.begin();
      },
      stateDumped: (state) => verification.compareState(state),
    }).run();
    const startMs = performance.now();
    const verified = await verification.finish();
    const summary = summarize(options, kills, report, verified, performance.now() - startMs);
    progress.end();
    for (const difference of verified.first) process.stderr.write(`${difference}\n`);
    process.stdout.write(`${summaryTable(summary, verified.worstRoutes)}\n`);
    if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    return summary.ok ? 0 : EXIT_WRONG;
  } finally {
    progress.end();
    verification.stop();
  }
}

async function main(): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => {
      process.exitCode = EXIT_SIGNAL + constants.signals[name];
      stop.abort(new Error(`stopped by ${name}`));
    });
  }
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options !== "help") return await run(options, stop.signal);
    process.stdout.write(HELP);
    return 0;
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    const isUsage = error instanceof UsageError || error instanceof InputError;
    process.stderr.write(`${isUsage || stop.signal.aborted ? message : (stack ?? message)}\n`);
    if (stop.signal.aborted) return Number(process.exitCode);
    return isUsage ? EXIT_USAGE : EXIT_WRONG;
  }
}

process.exitCode = await main();
