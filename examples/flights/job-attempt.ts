import type { JobCounters, JobMessage } from "./job-messages.ts";
import type { JobProgress } from "./kill-plan.ts";

/** What is known of one process of the job. */
export class JobAttempt implements JobProgress {
  position = 0;
  durablePosition = 0;
  checkpointAt: number | undefined = undefined;
  counters: JobCounters | undefined = undefined;
  isFinished = false;
  failure: Error | undefined = undefined;
  /** `delayed`: waiting for its moment. */
  kill: "none" | "delayed" | "done" = "none";
  wasKillDelayed = false;

  take(message: JobMessage): void {
    switch (message.kind) {
      case "ready":
        this.position = message.position;
        this.durablePosition = message.position;
        return;
      case "progress":
      case "end-of-input":
        this.position = message.position;
        this.counters = message.counters;
        return;
      case "checkpoint-begin":
        // Records before it are processed, whether or not a message said so.
        this.position = Math.max(this.position, message.position);
        this.checkpointAt = message.position;
        return;
      case "checkpoint-end":
        this.durablePosition = message.report.position;
        this.checkpointAt = undefined;
        return;
      case "checkpoint-aborted":
        this.checkpointAt = undefined;
        return;
      case "finished":
        this.isFinished = true;
        return;
      case "dumped":
      case "failed":
        return;
    }
  }
}
