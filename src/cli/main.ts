#!/usr/bin/env node
// varve: looks into checkpoints. The commands are those of commands.ts.
import { Interrupted } from "./command.ts";
import { run } from "./run.ts";

function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => controller.abort(new Interrupted())); // A second one ends the process.
  }
  return controller.signal;
}

const { stdout, stderr, env } = process;
process.exitCode = await run(
  process.argv.slice(2),
  { stdout, stderr, environment: env },
  interruption,
);
