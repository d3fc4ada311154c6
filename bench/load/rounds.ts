// The rounds of a load test: fill, churn, kill, start again, verify; and a rescale at the end.
import { setTimeout as delay } from "node:timers/promises";
import { Child } from "../support/child.ts";
import { progress } from "../support/command.ts";
import type { ChurnResult, Compared, Opened, TaskAssignment } from "./load.process.ts";

export interface LoadPlan {
  readonly directory: string;
  readonly rows: number;
  readonly memoryBudgetBytes: number;
  readonly recordsPerSecond: number;
  /** One for each restart. */
  readonly rounds: number;
  readonly roundMs: number;
  readonly verifiedSamples: number;
}

export interface Restart {
  readonly openMs: number;
  readonly firstRecordMs: number;
  readonly verifiedMs: number;
  readonly rows: Compared;
}

export interface LoadResult {
  readonly fillSeconds: number;
  readonly churns: readonly ChurnResult[];
  readonly restarts: readonly Restart[];
  readonly rescale: Restart;
  /** After each round, in the process that made it. */
  readonly unkilled: readonly Compared[];
}

const killedAfterMs = 1500;
const keyGroups = { max: 128 };

function start(): Child {
  return new Child(new URL("./load.process.js", import.meta.url), ["--max-old-space-size=4096"]);
}

export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const fillSeconds = await fill(plan);
  const churns: ChurnResult[] = [];
  const restarts: Restart[] = [];
  const unkilled: Compared[] = [];
  let location = "";
  for (let round = 0; round < plan.rounds; round++) {
    const task = start();
    try {
      progress(`round ${round + 1} of ${plan.rounds}: restart`);
      restarts.push(await restart(task, assignmentOf(plan, "0", "latest"), plan.verifiedSamples));
      progress(`round ${round + 1} of ${plan.rounds}: churn`);
      const perSecond = plan.recordsPerSecond;
      const churned = await task.call<ChurnResult>("churn", { ms: plan.roundMs, perSecond });
      churns.push(churned);
      if (churned.checkpointError !== undefined) throw new Error(churned.checkpointError);
      unkilled.push(await task.call<Compared>("verify", plan.verifiedSamples));
      if (round === plan.rounds - 1) {
        location = await task.call<string>("checkpoint");
        await task.close();
        break;
      }
      // Killed while records are processed and a checkpoint may be under way.
      const lost = task.call("churn", { ms: 10 * killedAfterMs, perSecond }).catch(() => undefined);
      await delay(killedAfterMs + 130 * round);
      await task.kill();
      await lost;
    } finally {
      await task.close();
    }
  }
  progress("rescale to two tasks");
  return { fillSeconds, churns, restarts, unkilled, rescale: await rescale(plan, location) };
}

function assignmentOf(plan: LoadPlan, task: string, restore: string): TaskAssignment {
  const { directory, rows, memoryBudgetBytes } = plan;
  return { directory, task, restore, rows, memoryBudgetBytes };
}

async function fill(plan: LoadPlan): Promise<number> {
  const task = start();
  task.onProgress = (done) => progress(`filling: ${done} of ${plan.rows} rows`);
  try {
    const begun = performance.now();
    await task.call("open", assignmentOf(plan, "0", "latest-or-new"));
    await task.call("fill");
    return (performance.now() - begun) / 1000;
  } finally {
    await task.close();
  }
}

async function restart(task: Child, assignment: TaskAssignment, samples: number): Promise<Restart> {
  const begun = performance.now();
  const { openMs, firstRecordMs } = await task.call<Opened>("open", assignment);
  const rows = await task.call<Compared>("verify", samples);
  while (!(await task.call<boolean>("isVerified"))) await delay(20);
  return { openMs, firstRecordMs, rows, verifiedMs: performance.now() - begun };
}

/** One task's checkpoint opened by two, each with half of the key groups. */
async function rescale(plan: LoadPlan, location: string): Promise<Restart> {
  const halves = [
    { ...keyGroups, first: 0, last: 63 },
    { ...keyGroups, first: 64, last: 127 },
  ];
  const tasks = halves.map(start);
  try {
    const found: Restart[] = [];
    for (const [i, half] of halves.entries()) {
      const assignment = {
        ...assignmentOf(plan, `half-${i}`, location),
        memoryBudgetBytes: Math.floor(plan.memoryBudgetBytes / 2),
        keyGroups: half,
      };
      found.push(await restart(tasks[i]!, assignment, plan.verifiedSamples));
    }
    for (const task of tasks) await task.call("checkpoint");
    return {
      openMs: sum(found.map(({ openMs }) => openMs)),
      firstRecordMs: sum(found.map(({ firstRecordMs }) => firstRecordMs)),
      verifiedMs: sum(found.map(({ verifiedMs }) => verifiedMs)),
      rows: allOf(found.map(({ rows }) => rows)),
    };
  } finally {
    await Promise.all(tasks.map((task) => task.close()));
  }
}

export function allOf(parts: readonly Compared[]): Compared {
  return {
    compared: sum(parts.map(({ compared }) => compared)),
    differing: sum(parts.map(({ differing }) => differing)),
    example: parts.find(({ example }) => example !== undefined)?.example,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
