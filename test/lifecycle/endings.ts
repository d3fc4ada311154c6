// How tasks and owners end, or do not.
import type { TaskJob } from "../support/task-job.ts";

/** A task that never answers, until it is told that nobody waits. */
export async function never<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  answer.catch(() => undefined);
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  return answer;
}

export async function endOf(job: TaskJob): Promise<void> {
  await job.coordinator.close().catch(() => undefined); // A dead owner's storage is another's.
  await job.closeTasks().catch(() => undefined);
}

export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
